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
            return code if self._has_tests else pytest.ExitCode.OK
        return code if code in _OWN or (self._has_tests and code) else pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, object, object]:
        result = yield
        if not is_own(report):
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
