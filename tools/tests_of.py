"""Write tests/README.md, which lists where modules without a test file of their own are tested.

The list is based on imports. The first of these exists:

1. tests that import the module
2. tests of modules that import it, in the same folder or above
3. the folder of its package, with tests that run sessions
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_gump"
TESTS = ROOT / "tests"
PAGE = TESTS / "README.md"
MOST = 3

HEAD = """\
# Where the tests are

Folders mirror the package: `tests/a/test_b.py` tests `pytest_gump/a/b.py`. Features that span several modules have
files of their own in the same folders. `tests/kits` contains helpers for tests, `tests/cases` reported faults as whole
sessions, `tests/hardening` agents and input that misbehave, and `tests/docs` tests of the documentation.

Modules without a test file of their own are tested here (`tools/tests_of.py` generates the list):

| module | tests |
|---|---|
"""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """Return the full names of the modules, and of the names in them, that a file imports."""
    return {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"}
IMPORTS = {name: imports(path) for name, path in MODULES.items()}
IMPORTED_BY_TESTS = {path: imports(path) for path in sorted(TESTS.rglob("test_*.py"))}


def own_test(module: str) -> Path:
    path = MODULES[module].relative_to(PACKAGE)
    return TESTS / path.parent / f"test_{path.stem}.py"


def tests_of(module: str) -> list[Path]:
    """Return the tests of a module, nearest first, or a folder if only whole sessions test it."""
    if own_test(module).exists():
        return [own_test(module)]
    folder = own_test(module).parent
    direct = [path for path, names in IMPORTED_BY_TESTS.items() if module in names]
    if direct:
        return sorted(direct, key=lambda path: (path.parent != folder, path))[:MOST]
    users = [name for name, names in IMPORTS.items() if module in names and own_test(name).exists()]
    near = [own_test(name) for name in users if own_test(name).parent in (folder, *folder.parents)]
    return near[:MOST] or [next(path for path in (folder, *folder.parents) if path.is_dir())]


def page() -> str:
    rows = [
        f"| `{module.removeprefix('pytest_gump.')}` | {', '.join(f'`{shown(path)}`' for path in tests_of(module))} |"
        for module in MODULES
        if not own_test(module).exists()
    ]
    return HEAD + "\n".join(rows) + "\n"


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
