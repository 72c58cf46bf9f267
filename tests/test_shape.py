"""The structure of the package: small modules, no import cycles, mirrored tests. import-linter checks the layers."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_gump

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(pytest_gump.__file__).parent
TESTS = Path(__file__).parent
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_FILES_OF_THE_ROOT = 12
MOST_MODULES_OF_A_PACKAGE = 20
NOT_MIRRORED = {"cases", "docs", "hardening", "kits", "neighbours", "packaging", "readers"}
"""Folders of tests that follow topics, not packages."""
WITHOUT_A_MODULE = {
    # the source as a whole
    "test_dependencies", "test_imports", "test_names", "test_shape",
    # all agent CLIs
    "agents/test_own_prices", "agents/clis/test_forks", "agents/clis/test_lost_sessions",
    "agents/clis/test_recorded_streams", "agents/shell/test_rules",
    # several commands
    "cli/test_wrong_arguments",
    # the real agent CLIs
    "conformance/test_composition", "conformance/test_live", "conformance/test_record", "conformance/test_scenarios",
    "conformance/test_tdd", "conformance/test_workflows",
    # whole attempts, random schedules, random and wrong workflows, a process that replaces folders
    "engine/attempt/test_attempt_checks", "engine/attempt/test_attempt_replay",
    "engine/schedule/test_builtins", "engine/schedule/test_former", "engine/schedule/test_schedule_properties",
    "system/worktrees/test_swapped_folders", "workflow/test_builtins", "workflow/test_load_properties",
    "workflow/test_load_wrong",
    # whole sessions
    "executors/test_distribute", "executors/test_distribute_faults", "executors/test_distribute_random",
    "executors/test_forks", "executors/test_workers", "reporters/test_outcomes", "reporters/test_resume_report",
    "reporters/test_terminal", "session/test_broken_attempts", "session/test_calls", "session/test_claude", "session/test_former", "session/test_concurrency",
    "session/test_dry_run", "session/test_git_processes", "session/test_kill_matrix", "session/test_lost_session",
    "session/test_parallel", "session/test_quota", "session/test_resume_more", "session/test_run",
    "session/test_secrets_scan", "session/test_validators", "session/test_warnings",
}  # fmt: skip
"""Tests of a feature. Each other test module has the folder and the name of the module that it tests."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules. They are large, so the fixture ends with this module."""
    return {name: ast.parse(text) for name, text in MODULES.items()}


def functions(name: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Generate location and number of lines of each function of a module, with its decorators."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield f"{name}:{node.lineno} {node.name}", (node.end_lineno or first) - first + 1


def imports(tree: ast.Module) -> set[str]:
    """Return the modules of the package that a module imports, also inside functions and for types."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {inner if (inner := f"{module}.{one.name}") in MODULES else module for one in node.names}
    return found & MODULES.keys()


def test_no_module_is_too_long() -> None:
    lines = {name: len(text.splitlines()) for name, text in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def packages() -> dict[str, list[str]]:
    """Return the modules of each package, without its `__init__`."""
    folders = [PACKAGE, *(path.parent for path in PACKAGE.rglob("*/__init__.py"))]
    return {
        name_of(folder): [path.stem for path in folder.glob("*.py") if path.stem != "__init__"] for folder in folders
    }


def test_the_root_package_has_few_files() -> None:
    assert len([*PACKAGE.glob("*.py")]) <= MOST_FILES_OF_THE_ROOT


def test_no_package_has_too_many_modules() -> None:
    sizes = {name: len(modules) for name, modules in packages().items()}
    assert sizes["pytest_gump.engine"] == 0
    assert {name: size for name, size in sizes.items() if size > MOST_MODULES_OF_A_PACKAGE} == {}


def test_each_package_has_a_docstring_of_one_sentence(trees: dict[str, ast.Module]) -> None:
    said = {name: ast.get_docstring(trees[name]) or "" for name in packages()}
    assert {
        name: text for name, text in said.items() if not re.fullmatch(r"[A-Z`](?:[^.?!]|[.?!](?! |\n|$))+\.", text)
    } == {}


def test_test_modules_mirror_the_package() -> None:
    modules = {"/".join((*name.split(".")[1:-1], f"test_{name.split('.')[-1]}")) for name in MODULES}
    places = {path.relative_to(TESTS).with_suffix("") for path in TESTS.rglob("test_*.py")}
    tests = {place.as_posix() for place in places if place.parts[0] not in NOT_MIRRORED}
    assert tests - modules - WITHOUT_A_MODULE == set()
    assert WITHOUT_A_MODULE - (tests - modules) == set()


def test_no_function_is_too_long(trees: dict[str, ast.Module]) -> None:
    found = {place: size for name, tree in trees.items() for place, size in functions(name, tree)}
    assert {place: size for place, size in found.items() if size > MOST_LINES_OF_A_FUNCTION} == {}


def test_no_modules_import_each_other_in_a_cycle(trees: dict[str, ast.Module]) -> None:
    graph = {name: imports(tree) - {name} for name, tree in trees.items()}
    order = list(TopologicalSorter(graph).static_order())  # a CycleError names the modules
    assert order.index("pytest_gump.errors") < order.index("pytest_gump.conductor")


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("from pytest_gump.engine.record import records", "pytest_gump.engine.record.records"),
        ("def late():\n    from pytest_gump.errors import GumpError", "pytest_gump.errors"),
        ("if TYPE_CHECKING:\n    from pytest_gump.errors import GumpError", "pytest_gump.errors"),
        ("import pytest", None),
    ],
)
def test_imports_are_found_at_all_levels(text: str, module: str | None) -> None:
    assert imports(ast.parse(text)) == ({module} if module else set())
