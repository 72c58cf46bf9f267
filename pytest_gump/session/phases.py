"""The set-up, call and teardown phases of a step, around a result that other plugins cannot change.

If a hook of another plugin skips, fails, xfails or raises in a phase, the result gets a note.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol  # private; the only way to run phases without logging each; tested

from pytest_gump.collect import StepItem, describe_failure
from pytest_gump.engine.attempt.attempt import Cancelled
from pytest_gump.errors import GumpError
from pytest_gump.jobs.hooks import STOPS, in_a_line, trouble
from pytest_gump.order import to_wire
from pytest_gump.reporters.exit_code import is_own
from pytest_gump.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pytest_gump.order import AttemptResult


class StepProtocol:
    """A plugin that runs the phases of steps, so that no other plugin repeats or logs them."""

    def __init__(self) -> None:
        self._shown: dict[str, Callable[[], object]] = {}
        """By node id, the functions that run the phases of the steps that are being shown."""

    @contextmanager
    def showing(self, item: StepItem, run_phases: Callable[[], object]) -> Iterator[None]:
        """Use `run_phases` as the protocol of an item in this block."""
        self._shown[item.nodeid] = run_phases
        try:
            yield
        finally:
            del self._shown[item.nodeid]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run the phases of a step. Plugins that repeat tests do not apply to it."""
        if not isinstance(item, StepItem):
            return None
        self._shown[item.nodeid]()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, object, object]:
        """Turn the report of a step that another plugin logs into that of a passed set-up."""
        if report.nodeid in self._shown and not is_own(report):
            make_setup(report, "")
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self, report: Any) -> Generator[None, Any, Any]:
        """Convert an attempt's order and result to plain dicts, for plugins that save reports."""
        data, attempt = (yield), getattr(report, "gump", None)
        if attempt is not None and data is not None:
            order, result = attempt
            data["gump"] = {"order": to_wire(order), "result": to_wire(result)}
        return data

    def report_of(self, item: StepItem, when: str) -> Any:
        """Run the phases of a step without an attempt. Return the report of the phase `when`, still incomplete."""
        reports: list[Any] = []
        with self.showing(item, lambda: reports.extend(runtestprotocol(item, log=False, nextitem=None))):
            trouble(partial(item.config.hook.pytest_runtest_protocol, item=item, nextitem=None))
        return _report_of(reports, item, when)


class Phases:
    """Runs an item's phases and fetches its result, exactly once each.

    Args:
        get_result: Returns the result or carries out the attempt.
        broken: Returns the result for an error that `get_result` raises.
        is_over: True if the attempt has ended.
    """

    def __init__(
        self, item: StepItem, get_result: Callable[[], AttemptResult], broken: Callable[[BaseException], AttemptResult],
        *, is_over: bool,
    ) -> None:  # fmt: skip
        self._item = item
        self._get_result: Callable[[], AttemptResult] | None = get_result
        self._broken = broken
        self._is_over = is_over
        self._reports: list[Any] = []
        self._notes: list[str] = []
        self.result: AttemptResult | None = None
        """None if the attempt was stopped before it had a result."""
        self._trace = ""
        """Traceback of an error in the attempt."""
        self.stop: BaseException | None = None
        """Exception that ends the session after the result is recorded."""

    def run(self) -> None:
        try:
            self._item.config.hook.pytest_runtest_protocol(item=self._item, nextitem=None)
        except Cancelled as error:
            self.result, self.stop = error.result, KeyboardInterrupt(str(error))
        except STOPS as error:
            self.stop = error
        except BaseException as error:  # noqa: BLE001 - an error in another plugin's hook must not lose the result
            self._notes.append(f"another plugin's hook raised {in_a_line(error)}; the attempt's result does not change")
        if self._get_result is not None and (self._is_over or self.stop is None):
            self.carry_out()
        if self.result is not None:
            self.result = replace(self.result, notes=(*self.result.notes, *self._notes))

    def carry_out(self) -> AttemptResult:
        """Fetch the result or carry out the attempt. Later calls return the same result."""
        get_result, self._get_result = self._get_result, None
        if get_result is not None:
            try:
                self.result = get_result()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a conftest's agent may raise anything
                self.result, self._trace = self._broken(error), _trace_of(error)
                self.stop = error if isinstance(error, STOPS) else None
        if self.result is None:
            raise KeyboardInterrupt  # stopped before it had a result
        return self.result

    def in_protocol(self) -> None:
        """Run the phases inside the hook wrappers of other plugins."""
        result = self._item.result = self.carry_out()
        self._reports = runtestprotocol(self._item, log=False, nextitem=None)
        expected = "passed" if result.passed else "failed"
        for report in self._reports:
            if report.outcome != (expected if report.when == "call" else "passed"):
                what = f"another plugin's hook: {report.when} {report.outcome}{_why(report)}"
                self._notes.append(f"{what}; the attempt's result does not change")

    def report(self, result: AttemptResult) -> Any:
        """Return the report of the call phase, with the attempt's own outcome."""
        report = _report_of(self._reports, self._item, "call")
        report.when, report.outcome, report.longrepr = "call", "passed", None
        if not result.passed:
            texts = filter(None, [describe_failure(result), self._trace])
            report.outcome, report.longrepr = "failed", "\n\n".join(texts)
        # If a worker carried out the attempt, the phases in this process only show it.
        report.duration = max(report.duration, result.timings.total_s)
        return report


def make_setup(report: Any, category: str) -> None:
    """Turn a report into that of a passed set-up, which only this plugin shows and counts."""
    report.when, report.outcome, report.longrepr, report.gump_category = "setup", "passed", None, category
    report.duration, report.sections = 0.0, []


def _report_of(reports: Sequence[Any], item: StepItem, when: str) -> Any:
    """Return the report of a phase. If it is missing, return a new one that no phase or plugin has changed."""
    report = next((report for report in reports if report.when == when), None)
    report = report or item.bare_report(when)
    vars(report).pop("wasxfail", None)
    return report


def _why(report: Any) -> str:
    """Return the reason for a phase's outcome: the reason of a skip, or the message of an error with file and line."""
    longrepr, crash = report.longrepr, getattr(report.longrepr, "reprcrash", None)
    if hasattr(report, "wasxfail"):
        text = f"xfail {report.wasxfail}"
    elif crash is not None:
        text = f"{crash.message} ({crash.path}:{crash.lineno})"
    else:
        text = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr or "")
    first = clean_text(text).strip().partition("\n")[0]
    return f": {first}" if first else ""


def _trace_of(error: BaseException) -> str:
    """Return an error's traceback. A GumpError, as workers send it, contains it in its message."""
    if isinstance(error, GumpError):
        return clean_text(str(error).partition("\n")[2])
    return clean_text("".join(traceback.format_exception(error)))
