"""The exit code is 0 if and only if every run and every ordinary test passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from pytest_gump.reporters.exit_code import ExitCode

from tests.kits.examples import examples
from tests.kits.exit_code import CASES, Case, check, prepare

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.fixture(scope="module")
def plain(pytestconfig: pytest.Config) -> pytest.Config:
    """Return the configuration of a session that runs tests, unlike `--collect-only` and similar options."""
    return pytestconfig


@given(
    statuses=st.lists(st.sampled_from(["passed", "failed", "cancelled", "running"]), max_size=3),
    missing=st.integers(0, 2),
    tests=st.lists(st.sampled_from(["passed", "failed", "skipped"]), max_size=3),
    code=st.integers(0, 8),
)
def test_code_is_0_only_if_all_passed(
    plain: pytest.Config, statuses: list[str], missing: int, tests: list[str], code: int
) -> None:
    exit_code = ExitCode(plain)
    for outcome in tests:
        report = pytest.TestReport("t.py::t", ("t.py", 0, "t"), {}, outcome, None, "call")  # type: ignore[arg-type]
        hook = exit_code.pytest_runtest_logreport(report)
        next(hook)
        with pytest.raises(StopIteration):
            next(hook)
    exit_code.expect(len(statuses) + missing, lambda: statuses)
    all_passed = not missing and {*statuses} <= {"passed"} and "failed" not in tests
    if not statuses and not missing:
        assert exit_code.settle(code) == code
    elif all_passed:
        assert exit_code.settle(code) == (code if tests else 0)
    else:
        assert exit_code.settle(code) != 0


@examples(3, HealthCheck.function_scoped_fixture)
@given(case=CASES)
@example(Case(("good",), (), ("setup pytest.skip", "code 7"), ()))
@example(Case(("good",), ("test_good.py",), ("logged as failed",), ()))
@example(Case(("bad", "good"), ("test_good.py",), ("all reports pass", "deselects steps", "code 0"), ()))
def test_exit_code_of_a_session_follows_its_runs_and_tests(project: GumpProject, case: Case) -> None:
    prepare(project)
    check(project, case)
