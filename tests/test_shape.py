"""The shape of the package: small modules, small functions, no circles. Who may import whom is import-linter's business."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_gump

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(pytest_gump.__file__).parent
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def functions(name: str) -> Iterator[tuple[str, int]]:
    """Place and lines of every function of a module, its decorators included."""
    for node in ast.walk(ast.parse(MODULES[name])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield f"{name}:{node.lineno} {node.name}", (node.end_lineno or first) - first + 1


def imports(text: str) -> set[str]:
    """Modules of the package that this one imports when it is used; what only types need is left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {inner if (inner := f"{module}.{one.name}") in MODULES else module for one in node.names}
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        waiting += () if is_for_types else ast.iter_child_nodes(node)
    return found & MODULES.keys()


def test_no_module_is_longer_than_a_reader_can_keep_in_mind() -> None:
    lines = {name: len(text.splitlines()) for name, text in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_function_is_longer_than_a_page() -> None:
    found = {place: size for name in MODULES for place, size in functions(name)}
    assert {place: size for place, size in found.items() if size > MOST_LINES_OF_A_FUNCTION} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(text) - {name} for name, text in MODULES.items()}
    order = list(TopologicalSorter(graph).static_order())  # a CycleError names the modules
    assert order.index("pytest_gump.errors") < order.index("pytest_gump.conductor")


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("from pytest_gump.engine.record import records", "pytest_gump.engine.record.records"),
        ("def late():\n    from pytest_gump.errors import GumpError", "pytest_gump.errors"),
        ("if TYPE_CHECKING:\n    from pytest_gump.errors import GumpError", None),
    ],
)
def test_imports_are_found_wherever_they_stand_but_for_types(text: str, module: str | None) -> None:
    assert imports(text) == ({module} if module else set())
