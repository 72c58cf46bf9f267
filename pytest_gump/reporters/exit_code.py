"""The exit code of a session with runs: 0 only if all runs and all ordinary tests passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.jobs.command_line import only_shows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

_OWN: Final = frozenset(
    {
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.INTERRUPTED,
        pytest.ExitCode.INTERNAL_ERROR,
        pytest.ExitCode.USAGE_ERROR,
    }
)
"""Exit codes of pytest that are kept if a run did not pass."""


class ExitCode:
    """Plugin of the conductor. Counts ordinary tests by their reports, independently of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._statuses: Callable[[], Sequence[str]] = tuple
        self._selected: int | None = None
        self._has_tests = False
        self._has_failures = False
        self._session: pytest.Session | None = None
        self._failed_steps = 0
        """Reports of steps that pytest counts as failed tests."""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    def expect(self, selected: int, statuses: Callable[[], Sequence[str]]) -> None:
        """Set the number of expected runs. `statuses` returns the status of each started run at the end."""
        self._selected, self._statuses = selected, statuses

    def settle(self, code: int) -> int:
        """Return the session's exit code. `code` is the exit code of pytest and other plugins.

        The exit code of another plugin, for example for low coverage, applies only if ordinary tests ran.
        """
        if self._selected == 0 or only_shows(self._config):
            return code
        statuses = self._statuses()
        runs_passed = len(statuses) == self._selected and all(status == "passed" for status in statuses)
        if runs_passed and not self._has_failures:
            return code if self._has_tests and not self._is_of_steps(code) else pytest.ExitCode.OK
        return code if code in _OWN or (self._has_tests and code) else pytest.ExitCode.TESTS_FAILED

    def _is_of_steps(self, code: int) -> bool:
        """True if the code only says that a step failed: another plugin has changed the report of a passed step."""
        return code == pytest.ExitCode.TESTS_FAILED and 0 < self._counted() == self._failed_steps

    def _counted(self) -> int:
        return 0 if self._session is None else self._session.testsfailed

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, object, object]:
        before = self._counted()
        result = yield
        if is_own(report):
            self._failed_steps += self._counted() - before
        else:
            self._has_tests = True
            self._count(report)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collectreport(self, report: Any) -> Generator[None, object, object]:
        result = yield
        self._count(report)
        return result

    def _count(self, report: Any) -> None:
        self._has_failures |= report.failed and not hasattr(report, "wasxfail")


def is_own(report: Any) -> bool:
    """True if the report belongs to a step."""
    return hasattr(report, "gump_category") or getattr(report, "gump", None) is not None
