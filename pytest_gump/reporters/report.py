"""Print the progress and the summary of runs, and write them to JUnit XML."""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump.engine.reporting.notices import notices
from pytest_gump.engine.run.preflight import PREFLIGHT
from pytest_gump.jobs.hooks import trouble
from pytest_gump.reporters import junit
from pytest_gump.reporters.exit_code import is_own
from pytest_gump.reporters.lines import (
    LAYOUT,
    attempt_lines,
    columns_for,
    command_lines,
    failed_lines,
    failure_lines,
    group_line,
    groups_around,
    head_line,
    mark_of,
    named_lines,
    next_commands,
    reservation_lines,
    reuse_lines,
    run_line,
    step_line,
    to_look_at,
    validator_gates,
    waiting_lines,
)
from pytest_gump.reporters.live import Live
from pytest_gump.reporters.screen import Screen
from pytest_gump.text import clean_text, fit, width
from pytest_gump.units import format_duration, plural
from pytest_gump.workflow.edit import agents_of, foreach_groups, leaves
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_gump.collect import StepItem
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord
    from pytest_gump.engine.run.run import Run
    from pytest_gump.engine.schedule.records import LeafState
    from pytest_gump.errors import Problem
    from pytest_gump.order import AttemptResult
    from pytest_gump.reporters.lines import Columns
    from pytest_gump.text import Marks


class Report:
    """The terminal output of runs. Writes nothing without a terminal reporter (`-p no:terminal`)."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.screen = Screen(config)
        self.live = Live(self.screen)
        self._write = self.screen.write
        self._runs: list[tuple[str, Run]] = []
        self._groups: tuple[str, tuple[StepPath, ...]] = "", ()
        self._labels: dict[str, str] = {}
        self._layouts: dict[str, Columns] = {}
        self._foreach: dict[str, frozenset[str]] = {}
        self._logging = False
        self._said: set[str] = set()

    @property
    def _terminal(self) -> Any:
        return self.screen.reporter

    @property
    def columns(self) -> int:
        return self.screen.columns

    @property
    def _marks(self) -> Marks:
        return self.screen.marks

    def statuses(self) -> list[str]:
        """Return the status of each started run."""
        return [str(run.record.status) for _, run in self._runs]

    # -- a run ---------------------------------------------------------------------------------------------------

    def run_started(self, run: Run, nodeid: str) -> None:
        self._runs.append((nodeid, run))
        self._groups = "", ()
        workflow = run.inputs.workflow
        paths = [StepPath.parse(path) for path, _ in leaves(workflow.steps)]
        self._layouts[run.record.run_id] = columns_for(paths, agents_of(workflow))
        self._foreach[run.record.run_id] = frozenset(foreach_groups(workflow.steps))
        record = run.record
        self._write("")
        self._write(fit(head_line(record, "resumes run" if record.resumed else "run"), self.columns))
        if record.origin is not None:
            self._write(fit(f"reuses results of run {record.origin}", self.columns))
        self._print_reuse(run)

    def _print_reuse(self, run: Run) -> None:
        """Print for each step of a resumed run whether its result is reused, or why the step runs again."""
        if run.reuse.reruns is not None:
            for line in reuse_lines(run.record, run.schedule.leaves(), run.reuse.reruns, self._marks):
                self._write(line)

    def dry_run_of_resume(
        self, record: RunRecord, leaves: Sequence[LeafState], reruns: Mapping[StepPath, str], *, is_resumed: bool
    ) -> None:
        """Print which results of an earlier run would be reused; `is_resumed` is False for `--gump-from`."""
        how = "would resume run" if is_resumed else "would reuse results of run"
        rest = "a dry run neither runs gates again nor recovers results that are not in the ledger"
        self.print_lines([head_line(record, how), *reuse_lines(record, leaves, reruns, self._marks), rest])

    def print_lines(self, lines: Sequence[str]) -> None:
        """Print lines that the user requested, at every verbosity."""
        for line in ("", *lines):
            self._write(line, level=-9)

    def say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._write(fit(line, self.columns), yellow=True)

    def show_notes(self, notes: Iterable[Problem | str]) -> None:
        """Print notes about valid but probably unintended workflows and settings, each once."""
        for note in map(str, notes):
            if note not in self._said:
                self._said.add(note)
                for line in f"note: {note}".splitlines():
                    self._write(line, yellow=True)

    def preflight_finished(self, run: Run) -> None:
        if run.reuse.recheck is not None:
            self._write(fit(run.reuse.recheck, self.columns), yellow=True)
            self._print_reuse(run)
        preflight = run.record.preflight or {}
        red = [gate for gate in preflight.get("gates", ()) if gate["status"] == "failed"]
        for gate in red:
            self._write(fit(f"already fails on base: {gate['name']}: {gate['summary']}", self.columns), yellow=True)
        for note in preflight.get("notes", ()):
            for line in textwrap.wrap(f"note: {note}", max(self.columns, 40), subsequent_indent="  "):
                self.say_once(line)

    def preflight_failed(self, run: Run, reason: str) -> None:
        label = self.label_of(run.record.run_id)
        for line in failure_lines(PREFLIGHT, reason, self._marks, self.columns - width(label)):
            self._write(f"{label}{line}", red=True)

    def set_labels(self, labels: Mapping[str, str]) -> None:
        """Set labels that start the lines of runs in parallel."""
        self._labels = {run_id: f"{label}  " for run_id, label in labels.items()}

    def label_of(self, run_id: str) -> str:
        return self._labels.get(run_id, "")

    def attempt_cancelled(self, run_id: str, record: AttemptRecord, result: AttemptResult) -> None:
        label = self.label_of(run_id)
        self._open_groups(run_id, StepPath.parse(record.step))
        for line in self._attempt_lines(run_id, record, result):
            self._write(f"{label}{line}", red=True)

    def _attempt_lines(self, run_id: str, record: AttemptRecord, result: AttemptResult) -> list[str]:
        columns = self.columns - width(self.label_of(run_id))
        return attempt_lines(record, result, self._marks, columns, self._layouts.get(run_id, LAYOUT))

    def attempt_finished(self, run_id: str, record: AttemptRecord, result: AttemptResult) -> None:
        label, path = self.label_of(run_id), StepPath.parse(record.step)
        self._open_groups(run_id, path)
        colour = {"passed": "green", "failed": "red"}.get(record.verdict, "yellow")
        for line in self._attempt_lines(run_id, record, result):
            self._write(f"{label}{line}", **{colour: True})
        indent = label + "  " * (len(path.names) + 1)

        def show(text: str, *, level: int = 0, **markup: bool) -> None:
            self._write(fit(f"{indent}{text}", self.columns), level=level, **markup)

        for gate in result.gates:
            said = " ".join(filter(None, (gate.status, gate.summary, format_duration(gate.duration_s))))
            show(f"{gate.name}: {said}", level=1)
        for why in filter(None, record.why.split("; ")):
            show(why)
        for note in result.notes:
            show(f"note: {note}")
        for named in named_lines(result) if record.entry != "gates" else ():  # shown for the agent's part
            show(named, yellow=True)

    def _open_groups(self, run_id: str, path: StepPath) -> None:
        """Print headings of the step's groups that are not printed yet."""
        label, chain = self.label_of(run_id), groups_around(path, self._foreach.get(run_id, ()))
        shown = self._groups[1] if self._groups[0] == label else ()
        for depth, group in enumerate(chain):
            if depth >= len(shown) or shown[: depth + 1] != chain[: depth + 1]:
                self._write(f"{label}{group_line(group, self._marks, self.columns - width(label))}")
        self._groups = label, chain

    def step_skipped(self, run_id: str, step: str, reason: str) -> None:
        label = self.label_of(run_id)
        self._write(f"{label}{step_line(self._marks.skipped, step, f'skipped: {reason}', self.columns - width(label))}")

    def validated(self, run_id: str, record: AttemptRecord, result: AttemptResult) -> None:
        """Print what the validators of an attempt found. A final failure is printed by `step_given_up`."""
        label, path = self.label_of(run_id), StepPath.parse(record.step)
        colour = {"passed": "green", "failed": "red"}.get(record.verdict, "yellow")
        if record.verdict != "failed":
            text = result.reason or f"passed: {plural(len(validator_gates(result)), 'validator')}"
            line = step_line(mark_of(record, self._marks), record.step, text, self.columns - width(label))
            self._write(f"{label}{line}", **{colour: True})
        indent = label + "  " * (len(path.names) + 1)
        for why in filter(None, record.why.split("; ")):
            self._write(fit(f"{indent}{why}", self.columns))

    def step_given_up(self, run_id: str, step: str, nodeid: str, reason: str) -> None:
        """Print a step that fails after its last attempt was printed as retried."""
        label = self.label_of(run_id)
        text = f"failed: {reason}"
        self._write(f"{label}{step_line(self._marks.failed, step, text, self.columns - width(label))}", red=True)
        counted = self._terminal.stats.get("retried", []) if self._terminal is not None else []
        last = next((report for report in reversed(counted) if report.nodeid == nodeid), None)
        if last is not None:  # it was not retried after all
            counted.remove(last)

    def step_failed(self, item: StepItem, text: str, spent_s: float = 0.0) -> Any:
        """Log a step that failed without an attempt. The caller closes its testcase."""
        report = item.bare_report("call", "failed", text)
        report.duration = spent_s
        self.log_all(item, [report])
        return report

    def log_all(self, item: pytest.Item, reports: list[Any]) -> None:
        """Log reports of a step that belong to no attempt."""
        for report in reports:
            report.gump_category = None
            self.log(report, item.ihook)

    def log(self, report: Any, hook: Any) -> None:
        """Log a report of a step. Errors in hooks of other plugins are printed and otherwise ignored."""
        with self.own_lines(report):
            text = trouble(partial(hook.pytest_runtest_logreport, report=report))
        if text is not None:
            self.say_once(f"pytest_runtest_logreport: another plugin's hook raised {text}")

    @contextmanager
    def own_lines(self, report: Any) -> Iterator[None]:
        """Context in which pytest's reporter counts the report of a step but does not print it."""
        self._logging = True
        try:
            yield
        finally:
            self._logging = False
        category = _category(report)
        if category and self._terminal is not None:  # the reporter of pytest-bdd counts only what it prints
            counted = self._terminal.stats.get(category)
            if not counted or counted[-1] is not report:
                self._terminal._add_stats(category, [report])  # noqa: SLF001 - no public API; tests/neighbours

    # -- pytest's own hooks --------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Count reports of steps without printing them. The short summary calls this again for the word."""
        if not is_own(report):
            return None
        category = _category(report)
        return category, "", "" if self._logging else category.upper()

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for _, run in self._runs:
            record = run.record
            terminalreporter.ensure_newline()
            terminalreporter.write_sep("=", f"gump {record.run_id}")
            colour = {"passed": "green", "awaiting": "yellow"}.get(record.status, "red")
            terminalreporter.write_line(run_line(record, self._marks), **{colour: True}, bold=True)
            if record.reason:
                terminalreporter.write_line(clean_text(record.reason))
            for line in failed_lines(record, self._marks, self.columns):
                terminalreporter.write_line(clean_text(line), red=True)
            for line in waiting_lines(record, self._marks, self.columns):
                terminalreporter.write_line(clean_text(line), yellow=True)
            for line in (*reservation_lines(record, self._marks, self.columns), *to_look_at(record)):
                terminalreporter.write_line(clean_text(line), yellow=True)
            for line in notices(record):
                terminalreporter.write_line(clean_text(line), yellow=True)
            for line in command_lines(next_commands(record, is_only=len(self._runs) == 1), self._marks):
                terminalreporter.write_line(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.screen.erase()
        junit.write_suite(self._config, [(nodeid, run.record) for nodeid, run in self._runs])


def labels(records: Sequence[RunRecord]) -> dict[str, str]:
    """Return the shortest distinct labels of runs in parallel, by run id."""
    if len(records) < 2:
        return {}
    workflows, specs = {record.workflow for record in records}, {record.spec for record in records}
    shown = {record.run_id: f"{record.spec}::{record.workflow}" for record in records}
    if len(specs) == 1:
        shown = {record.run_id: record.workflow for record in records}
    elif len(workflows) == 1:
        shown = {record.run_id: record.spec for record in records}
    return shown


def _category(report: Any) -> str:
    """Category of a step's report in pytest's summary; reports with "" are not counted."""
    category = getattr(report, "gump_category", None)
    if category is None:
        category = "" if report.passed and report.when != "call" else report.outcome
    return str(category)
