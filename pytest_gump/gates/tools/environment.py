"""Environment variables for gate commands, so that they check the worktree and not an installed copy."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gump.gates.tools.detect import PYTHON_MARKERS, tool_tables
from pytest_gump.system.files import read_or_none

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def gate_environment(
    worktree: Path, inherited: Mapping[str, str] | None = None, *, imports: bool = True
) -> dict[str, str]:
    """Return the variables to add for a command that runs in `worktree`.

    The worktree's own source folders come first on PYTHONPATH. They take precedence over the `.pth` files and the
    import finders of an editable installation, which Python uses later. This does not work for the build backends
    scikit-build-core and meson-python, which put their finder before all others: their projects need an installation
    in `setup:`. Without `imports`, PYTHONPATH does not change: `pytest_program` adds the folders after it has imported
    its tools.
    """
    added = {"PYTHONDONTWRITEBYTECODE": "1"}
    if imports and is_python_project(worktree):
        known = [path for path in (inherited or {}).get("PYTHONPATH", "").split(os.pathsep) if path]
        added["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*map(str, source_roots(worktree)), *known]))
    if (worktree / "package.json").exists():
        added["CI"] = (inherited or {}).get("CI", "true")  # without it, test runners of Node watch for changes
    return added


def own_python() -> dict[str, str]:
    """Return a PATH that begins with the virtual environment of this Python; empty if it is in none."""
    if sys.prefix == sys.base_prefix:
        return {}
    own = str(Path(sys.executable).parent)
    others = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != own]
    return {"PATH": os.pathsep.join([own, *others])}


def is_python_project(worktree: Path) -> bool:
    return any((worktree / name).exists() for name in (*PYTHON_MARKERS, "src")) or any(worktree.glob("*.py"))


def source_roots(worktree: Path) -> list[Path]:
    """Return the folders to import the project's code from: `src`, declared package folders, the root itself."""
    pyproject = (read_or_none(worktree, "pyproject.toml") or b"").decode("utf-8", "replace")
    declared = ["src", *_declared(tool_tables(pyproject))]
    inside = (worktree / name for name in dict.fromkeys(declared) if _is_relative(name))
    return [*(path for path in inside if path.is_dir() and path != worktree), worktree]


def _is_relative(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/") and os.pathsep not in name and "\0" not in name


def _at(table: Any, *keys: str) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _declared(tool: dict[str, Any]) -> Iterator[str]:
    """Yield the source folders in the settings of build backends: setuptools, hatch, poetry, pdm, maturin, uv."""
    names = [
        _at(tool, "setuptools", "package-dir", ""),
        *_strings(_at(tool, "setuptools", "packages", "find", "where")),
        *(
            name.rstrip("/").rpartition("/")[0]
            for name in _strings(_at(tool, "hatch", "build", "targets", "wheel", "packages"))
        ),
        *_strings(_at(tool, "hatch", "build", "dev-mode-dirs")),
        *(_at(package, "from") for package in _items(_at(tool, "poetry", "packages"))),
        _at(tool, "pdm", "build", "package-dir"),
        _at(tool, "maturin", "python-source"),
        _at(tool, "uv", "build-backend", "module-root"),
    ]
    yield from (name for name in names if isinstance(name, str) and name not in ("", "."))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [entry for entry in _items(value) if isinstance(entry, str)]
