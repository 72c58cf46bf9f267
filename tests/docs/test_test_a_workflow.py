"""The guide "Test a workflow, a gate or a hook": its tests pass, and fail if its workflow is broken."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Final

import pytest
from pytest_gump.testing import GumpProject

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "how-to" / "test-a-workflow.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def run_guide(pytester: pytest.Pytester, workflow: str) -> pytest.RunResult:
    conftest, tests, *_ = blocks("python")
    pytester.makeconftest(conftest)
    pytester.makepyfile(test_careful=tests)
    folder = pytester.mkdir(".gump") / "workflows"
    folder.mkdir()
    (folder / "careful.yaml").write_text(workflow, encoding="utf-8")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


def test_the_tests_of_the_guide_pass(pytester: pytest.Pytester) -> None:
    run_guide(pytester, blocks("yaml")[0]).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("good", "bad", "failed"),
    [
        (', "untouched: legacy/**"', "", "test_a_change_of_legacy_code_escalates"),
        ("{ retry: 2, restart_from: impl }", "{ retry: 2 }", "test_a_failed_review_restarts_the_step"),
    ],
)
def test_the_tests_of_the_guide_fail_for_a_broken_workflow(
    good: str, bad: str, failed: str, pytester: pytest.Pytester
) -> None:
    workflow = blocks("yaml")[0]
    assert good in workflow
    result = run_guide(pytester, workflow.replace(good, bad))
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([f"FAILED *::{failed}*"])


def test_each_method_of_the_fixture_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", GUIDE.partition("| `gump_project.` |")[2], re.MULTILINE)
    documented = set(re.findall(r"`(\w+)\(", " ".join(rows)))
    methods = inspect.getmembers(GumpProject, inspect.isfunction)
    assert documented == {name for name, _ in methods if not name.startswith("_")}
