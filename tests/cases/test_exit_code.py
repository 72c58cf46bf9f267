"""The exit code with random phases, plugins and outcomes, with more examples than in `make test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given

from tests.kits.examples import examples
from tests.kits.exit_code import CASES, Case, check, prepare

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@examples(60, HealthCheck.function_scoped_fixture)
@given(case=CASES)
def test_exit_code_of_a_session_follows_its_runs_and_tests(project: GumpProject, case: Case) -> None:
    prepare(project)
    check(project, case)
