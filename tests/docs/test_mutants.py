"""Mutation testing: its configuration, and how its results are checked. `make test-mutants` runs it."""

from __future__ import annotations

import ast
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
SCRIPT = runpy.run_path(str(ROOT / "tools" / "mutants.py"))
DIFF = """\
--- a.py
+++ a.py
@@ -1,2 +1,2 @@
 def wait(self) -> int:
-    return max(1, 2)
+    return max(2, 2)"""


def mutant(name: str, status: str, diff: str = "") -> Any:
    return SCRIPT["Mutant"](name, "pytest_gump/a.py", status, SCRIPT["change_of"](name, diff))


KILLED = [mutant(f"pytest_gump.a.x_run__mutmut_{number}", "killed") for number in range(9)]
SURVIVOR = mutant("pytest_gump.a.xǁQuotaǁwait__mutmut_3", "survived", DIFF)
EXPLAINED = """\
[[mutant]]
function = "a.Quota.wait"
reason = "both are at most 2"
changes = [["return max(1, 2)", "return max(2, 2)"]]
"""


def found(mutants: list[Any], text: str) -> list[str]:
    return list(SCRIPT["problems"](mutants, SCRIPT["explained"](text)))


def test_the_modules_and_the_test_files_exist() -> None:
    assert all([*ROOT.glob(pattern)] for pattern in CONFIG["only_mutate"])
    assert [path for path in CONFIG["pytest_add_cli_args_test_selection"] if not (ROOT / path).is_file()] == []


def source_of(function: str) -> str:
    """Return the lines of a function such as `engine.run.quota.Quota.wait`, joined like those of a mutant."""
    parts = function.split(".")
    depth = next(count for count in range(len(parts), 0, -1) if module_of(parts[:count]).is_file())
    text = module_of(parts[:depth]).read_text(encoding="utf-8")
    node: Any = ast.parse(text)
    for name in parts[depth:]:
        node = next(child for child in node.body if getattr(child, "name", None) == name)
    return " ".join(line.strip() for line in text.splitlines()[node.lineno - 1 : node.end_lineno])


def module_of(parts: list[str]) -> Path:
    return ROOT.joinpath("pytest_gump", *parts).with_suffix(".py")


def test_every_explained_mutant_changes_a_line_of_its_function_and_has_a_reason() -> None:
    entries = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))["mutant"]
    for entry in entries:
        source = source_of(entry["function"])
        assert [old for old, _ in entry["changes"] if old not in source] == []
        assert entry["reason"]


def test_a_survivor_that_is_explained_is_no_problem() -> None:
    assert found([*KILLED, SURVIVOR], EXPLAINED) == []


def test_a_survivor_that_is_not_explained_is_shown_with_its_change() -> None:
    assert found([*KILLED, SURVIVOR], "") == [
        "pytest_gump.a.xǁQuotaǁwait__mutmut_3: survived\n  - return max(1, 2)\n  + return max(2, 2)"
    ]


def test_an_explained_mutant_that_did_not_survive_must_be_removed() -> None:
    (problem,) = found(KILLED, EXPLAINED)
    assert problem.startswith("a.Quota.wait: explained, but it did not survive")


@pytest.mark.parametrize("status", ["no tests", "suspicious", "segfault", "skipped"])
def test_only_failed_tests_and_timeouts_kill(status: str) -> None:
    assert len(found([*KILLED, mutant("pytest_gump.a.x_run__mutmut_9", status, DIFF)], "")) == 1
    assert found([*KILLED, mutant("pytest_gump.a.x_run__mutmut_9", "timeout")], "") == []


def test_explanations_do_not_replace_tests() -> None:
    assert found([*KILLED[:5], SURVIVOR], EXPLAINED) == ["83.3% of the mutants are killed, at least 85% are wanted"]
