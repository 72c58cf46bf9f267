"""Compile every Python file below the working directory in memory; write nothing.

A separate program, run as `python -I bytecompile.py`. It needs only the standard library, takes no file names on its
command line (so their number and characters do not matter), and imports nothing from the tree that it checks. It does
without pathlib, whose import takes longer than compiling a small project.
"""

from __future__ import annotations

import os
import stat
import sys
import warnings

SKIPPED = frozenset(
    {".git", ".gump", ".hg", ".venv", ".tox", ".nox", ".eggs", "__pycache__", "node_modules", "site-packages"}
)
MARKERS = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
MAX_SHOWN = 50


def python_files(root: str) -> list[str]:
    """Return the regular `*.py` files below `root`, without environments, caches and installed packages."""
    found = []
    for folder, folders, names in os.walk(root):
        if folder != root and MARKERS.intersection(names):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        paths = (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py"))  # noqa: PTH118
        found += [os.path.relpath(path, root) for path in paths if stat.S_ISREG(os.lstat(path).st_mode)]
    return found


def problem(path: str) -> str | None:
    """Return why a file does not compile; None if it does."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            compile(file.read(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        source = f"\n    {error.text.strip()}" if error.text else ""
        return f"{path}:{error.lineno or 1}: {type(error).__name__}: {error.msg}{source}"
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        return f"{path}: {type(error).__name__}: {error}"
    return None


def main() -> int:
    warnings.simplefilter("ignore")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    files = python_files(".")
    problems = [text for path in files if (text := problem(path))]
    compiled = "1 Python file compiles" if len(files) == 1 else f"{len(files)} Python files compile"
    end = f"{len(problems)} of {len(files)} Python files do not compile" if problems else compiled
    sys.stdout.write("\n".join([*problems[:MAX_SHOWN], end, ""]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
