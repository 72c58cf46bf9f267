"""Prints what the engine computed: a line for each attempt, a live line, the summary, JUnit."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump import junit
from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.gates.text import listed, one_line
from pytest_gump.lines import ASCII, UNICODE, attempt_lines, fit, group_line, live_line, run_line, skipped_line
from pytest_gump.system.output import clean_text
from pytest_gump.units import format_duration
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.agents.base import Event
    from pytest_gump.engine.metrics import AttemptRecord
    from pytest_gump.engine.run import Booked, Run

HEARTBEAT_S = 60.0
REFRESH_S = 0.2


class Report:
    """The only place that writes to pytest's terminal; silent where there is none (`-p no:terminal`)."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._verbosity = config.get_verbosity()
        self._runs: list[tuple[str, Run]] = []
        self._groups: tuple[StepPath, ...] = ()
        self._current: AttemptRecord | None = None
        self._turns = 0
        self._usd: float | None = None
        self._shown = 0.0
        self._live = False
        self._logging = False
        self._said: set[str] = set()

    # -- the terminal --------------------------------------------------------------------------------------------

    @property
    def _terminal(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")

    @property
    def columns(self) -> int:
        return int(self._config.get_terminal_writer().fullwidth)

    @property
    def _marks(self) -> Any:
        encoding = getattr(getattr(self._config.get_terminal_writer(), "_file", None), "encoding", None) or "ascii"
        try:
            "".join(UNICODE.__getattribute__(name) for name in UNICODE.__slots__).encode(encoding)
        except (UnicodeError, LookupError):
            return ASCII
        return ASCII if os.environ.get("TERM") == "dumb" else UNICODE

    def _write(self, line: str, *, level: int = 0, **markup: bool) -> None:
        if self._terminal is None or self._verbosity < level:
            return
        self._erase_live()
        self._terminal.ensure_newline()
        if self._config.get_terminal_writer().width_of_current_line:  # of a reporter that draws its own progress line
            self._terminal.write_line("")
        self._terminal.write_line(clean_text(line), **markup)

    def _erase_live(self) -> None:
        if self._live:
            self._terminal.rewrite(" " * (self.columns - 1))
            self._terminal.rewrite("")
            self._live = False

    # -- a run ---------------------------------------------------------------------------------------------------

    def run_started(self, run: Run, nodeid: str) -> None:
        self._runs.append((nodeid, run))
        self._groups = ()
        record = run.record
        self._write("")
        self._write(
            fit(f"{record.workflow} on {record.spec}: run {record.run_id}, base {record.base[:10]}", self.columns)
        )

    def print_lines(self, lines: Sequence[str]) -> None:
        """Print a text that was asked for, whatever the verbosity."""
        for line in ("", *lines):
            self._write(line, level=-9)

    def say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._write(fit(line, self.columns), yellow=True)

    def preflight_finished(self, run: Run) -> None:
        preflight = run.record.preflight or {}
        red = [gate for gate in preflight.get("gates", ()) if gate["status"] == "failed"]
        for gate in red:
            self._write(fit(f"red on base: {gate['name']}: {gate['summary']}", self.columns), yellow=True)

    def attempt_started(self, run: Run) -> None:
        self._current = run.record.attempts[-1]
        self._turns, self._usd, self._shown = 0, None, time.monotonic()

    def listen(self, event: Event | None) -> None:
        """Take an event of the running agent, or a tick (None): keep the live line, or a heartbeat, going."""
        match event:
            case Turn(number=number):
                self._turns = number
            case UsageSeen(usage=usage):
                self._usd = usage.cost_usd
            case ToolCall() if self._verbosity >= 2:
                told = f"{event.tool} {self._in_worktree(event.path or '') or event.command or ''}"
                self._outside_capture(f"      {one_line(told, 1000)}")
        terminal, now = self._terminal, time.monotonic()
        if terminal is None or self._current is None or self._verbosity < 0:
            return
        if terminal.isatty and now - self._shown >= REFRESH_S:
            self._shown = now
            with self._capture_off():
                line = clean_text(self._live_text())
                terminal.rewrite(line + " " * (self.columns - 1 - len(line)))
                self._live = True
        elif not terminal.isatty and now - self._shown >= HEARTBEAT_S:
            self._shown = now
            self._outside_capture(self._live_text())

    def _in_worktree(self, path: str) -> str:
        """Some CLIs name files absolutely, and the worktree's own path is long."""
        return path.rpartition(f"/{self._runs[-1][1].record.run_id}/")[2] if self._runs else path

    def _live_text(self) -> str:
        assert self._current is not None  # noqa: S101
        seconds = time.time() - self._current.started
        return live_line(
            self._current, turns=self._turns, usd=self._usd, seconds=seconds, marks=self._marks, columns=self.columns
        )

    def _outside_capture(self, line: str) -> None:
        with self._capture_off():
            self._write(fit(line, self.columns))

    def _capture_off(self) -> Any:
        manager = self._config.pluginmanager.get_plugin("capturemanager")
        return manager.global_and_fixture_disabled() if manager else nullcontext()

    def attempt_cancelled(self, record: AttemptRecord) -> None:
        self._current = None
        self._open_groups(StepPath.parse(record.step))
        for line in attempt_lines(record, self._marks, self.columns):
            self._write(line, red=True)

    def attempt_finished(self, booked: Booked) -> None:
        self._current = None
        path = StepPath.parse(booked.order.step)
        self._open_groups(path)
        colour = {"passed": "green", "failed": "red"}.get(booked.settled.verdict, "yellow")
        for line in attempt_lines(booked.record, self._marks, self.columns):
            self._write(line, **{colour: True})
        for gate in booked.result.gates:
            answer = f"{gate.name}: {gate.status} {gate.summary} {format_duration(gate.duration_s)}"
            self._write(fit(f"{'  ' * len(path.names)}  {answer}", self.columns), level=1)
        if booked.record.why:
            self._write(fit(f"{'  ' * len(path.names)}  {booked.record.why}", self.columns))
        for note in booked.result.notes:
            self._write(fit(f"{'  ' * len(path.names)}  note: {note}", self.columns))
        if booked.result.gate_config:
            files = ", ".join(booked.result.gate_config)
            self._write(fit(f"{'  ' * len(path.names)}  changed what gates read: {files}", self.columns), yellow=True)

    def _open_groups(self, path: StepPath) -> None:
        """Print the headings of the groups that the step is the first to be shown in."""
        chain = tuple(StepPath(path.names[:depth], path.items) for depth in range(1, len(path.names)))
        for depth, group in enumerate(chain):
            if depth >= len(self._groups) or self._groups[: depth + 1] != chain[: depth + 1]:
                self._write(group_line(group, self._marks, self.columns))
        self._groups = chain

    def step_skipped(self, step: str, reason: str) -> None:
        self._write(skipped_line(step, reason, self._marks, self.columns))

    def step_failed(self, item: pytest.Item, text: str) -> Any:
        """Log a step that failed without an attempt of its own; the caller closes its testcase."""
        call = pytest.CallInfo.from_call(lambda: _fail(text), when="call")
        report = pytest.TestReport.from_item_and_call(item, call)
        report.longrepr = text
        self.hand_on(item, [report])
        return report

    def hand_on(self, item: pytest.Item, reports: list[Any]) -> None:
        """Log reports of a step that have no attempt behind them."""
        for report in reports:
            report.gump_category = None
            with self.own_lines(report):
                item.ihook.pytest_runtest_logreport(report=report)

    @contextmanager
    def own_lines(self, report: Any) -> Iterator[None]:
        """While this lasts, pytest's reporter counts the step's report but prints nothing for it."""
        self._logging = True
        try:
            yield
        finally:
            self._logging = False
        category = _category(report)
        if category and self._terminal is not None:  # the reporter of pytest-bdd counts only what it prints
            counted = self._terminal.stats.get(category)
            if not counted or counted[-1] is not report:
                self._terminal._add_stats(category, [report])  # noqa: SLF001 - no public way; tests/neighbours

    # -- pytest's own hooks --------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Count our reports, but leave the printing to the lines above; the summary asks again, for the word."""
        if getattr(report, "gump", None) is None and not hasattr(report, "gump_category"):
            return None
        category = _category(report)
        return category, "", "" if self._logging else category.upper()

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for _, run in self._runs:
            record = run.record
            terminalreporter.ensure_newline()
            terminalreporter.write_sep("=", f"gump {record.run_id}")
            colour = {"passed": "green"}.get(record.status, "red")
            terminalreporter.write_line(run_line(record, self._marks), **{colour: True}, bold=True)
            if record.reason:
                terminalreporter.write_line(clean_text(record.reason))
            if record.checkout_changed:
                names = listed(record.checkout_changed)
                terminalreporter.write_line(f"your checkout changed while the run went on: {names}", yellow=True)
            for command, what in self._next_steps(run):
                terminalreporter.write_line(f"{self._marks.arrow} {command:<32} {what}")

    def _next_steps(self, run: Run) -> list[tuple[str, str]]:
        record = run.record
        several = f" {record.run_id}" if len(self._runs) > 1 else ""
        report = (f"gump report{several}", "full metrics")
        if record.status == "passed":
            return [(f"gump apply{several}", "merge the result"), report]
        failed = next((step.path for step in record.steps.values() if step.status == "failed"), None)
        log = [(f"gump log{several or ''} '{failed}'", "what the agent did, and why it failed")] if failed else []
        return [*log, report]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        junit.write_suite(self._config, [(nodeid, run.record) for nodeid, run in self._runs])


def _category(report: Any) -> str:
    """What pytest's summary counts a report of ours as; "" is no count."""
    category = getattr(report, "gump_category", None)
    if category is None:
        category = "" if report.passed and report.when != "call" else report.outcome
    return str(category)


def _fail(text: str) -> None:
    raise AssertionError(text)
