"""Show running attempts: in one live line on a terminal, otherwise in new lines once a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.reporters.live_line import Progress, Running, live_line, progress_text, running_text, waits_text
from pytest_gump.system.processes.session_clock import CLOCK
from pytest_gump.text import fit, one_line
from pytest_gump.workflow.generated import MERGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.engine.record.records import AttemptRecord
    from pytest_gump.engine.run.run import Run
    from pytest_gump.reporters.screen import Screen

HEARTBEAT_S: Final = 60.0
"""Seconds between the lines about running attempts without a terminal."""
REFRESH_S: Final = 0.2
SETTLED: Final = frozenset({"passed", "failed", "skipped"})
TOOL_VERBOSITY: Final = 2
"""Minimum verbosity that shows each tool call."""


@dataclass(slots=True, kw_only=True)
class _Attempt(Running):
    run: Run
    slot: str
    began: float
    call: ToolCall | None = None
    """The last tool call, until it is formatted. Most calls are replaced before the next update."""


class Live:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._attempts: dict[int, _Attempt] = {}
        self._shown = 0.0
        self.waits: Callable[[], Iterable[tuple[str, float]]] = tuple
        """Returns the CLIs that wait for a usage limit, each with the remaining seconds."""

    def started(self, ticket: int, record: AttemptRecord, run: Run, *, slot: str, label: str) -> None:
        before = run.record.steps[record.step].attempts[:-1]
        result = before[-1].result if before else None
        why = one_line(result.reason) if result is not None else ""
        attempt = _Attempt(label, record.step, record.agent, run=run, slot=slot, began=record.started)
        attempt.attempt, attempt.why = record.attempt, why
        self._add(ticket, attempt)

    def preflight_started(self, ticket: int, run: Run, *, slot: str, label: str) -> None:
        self._add(ticket, _Attempt(label, "preflight", None, attempt=0, run=run, slot=slot, began=CLOCK.now()))

    def _add(self, ticket: int, attempt: _Attempt) -> None:
        if not self._attempts:
            self._shown = time.monotonic()
        self._attempts[ticket] = attempt

    def ended(self, ticket: int) -> None:
        self._attempts.pop(ticket, None)

    def on_event(self, ticket: int, event: AttemptEvent) -> None:
        """Handle an event of a running attempt. None is a tick, which updates the screen."""
        attempt = self._attempts.get(ticket)
        if attempt is not None:
            self._note(attempt, event)
        if event is None:
            self.tick()

    def _note(self, attempt: _Attempt, event: AttemptEvent) -> None:
        match event:
            case Turn(number=number):
                attempt.turns = number
            case UsageSeen(usage=usage):
                attempt.usd, attempt.is_estimated = usage.cost_usd, usage.is_estimated
            case ToolCall():
                attempt.call = event
                if self._screen.verbosity >= TOOL_VERBOSITY:
                    self._write_call(attempt, event)
            case GateStarted(name=name):
                attempt.call, attempt.doing = None, f"gate: {one_line(name)}"

    def tick(self) -> None:
        """Update the live line or write a heartbeat, if it is time. Call this several times a second."""
        screen, now, waits = self._screen, time.monotonic(), [*self.waits()]
        if screen.reporter is None or not (self._attempts or waits) or screen.verbosity < 0:
            return
        if screen.reporter.isatty and now - self._shown >= REFRESH_S:
            self._shown = now
            running, progress = self._running(), self._progress()
            with screen.outside_capture():
                columns = screen.columns
                screen.write_over(live_line(running, screen.marks, columns, waits=waits, progress=progress))
        elif not screen.reporter.isatty and now - self._shown >= HEARTBEAT_S:
            self._shown = now
            with screen.outside_capture():
                for text in (*self._beats(), *(waits_text(*wait) for wait in waits)):
                    screen.write(fit(f"{screen.marks.running} {text}", screen.columns - 1))

    def _beats(self) -> list[str]:
        running, progress = self._running(), self._progress()
        if len(running) == 1:
            return [running_text(running[0], progress)]
        return [*map(running_text, running), *([progress_text(len(running), progress)] if running else [])]

    def _running(self) -> list[_Attempt]:
        now = CLOCK.now()
        for attempt in self._attempts.values():
            attempt.seconds = now - attempt.began
            if attempt.call is not None:
                attempt.doing = _call_text(attempt, attempt.call)
                attempt.call = None
        return [*self._attempts.values()]

    def _progress(self) -> Progress:
        """Progress of all runs with a running attempt, including the current cost of these attempts."""
        attempts = self._attempts.values()
        runs = {id(attempt.run): attempt.run for attempt in attempts}.values()
        totals = [run.record.total for run in runs]
        leaves = [leaf for run in runs for leaf in run.schedule.leaves() if leaf.path.name != MERGE]
        return Progress(
            settled=sum(leaf.status in SETTLED for leaf in leaves),
            known=len(leaves),
            spent_usd=sum(total.cost_usd for total in totals) + sum(attempt.usd or 0.0 for attempt in attempts),
            budget_usd=next(iter(runs)).record.max_budget if len(runs) == 1 else None,
            is_estimated=any(total.estimated for total in totals) or any(attempt.is_estimated for attempt in attempts),
        )

    def _write_call(self, attempt: _Attempt, call: ToolCall) -> None:
        who = f"{attempt.label}{attempt.step}: " if len(self._attempts) > 1 else ""
        with self._screen.outside_capture():
            self._screen.write(fit(f"      {who}{_call_text(attempt, call)}", self._screen.columns))


def _call_text(attempt: _Attempt, event: ToolCall) -> str:
    """Tool and target. Paths are shown relative to the worktree, because some CLIs report absolute paths."""
    path = (event.path or "").rpartition(f"/{attempt.slot}/")[2]
    return one_line(f"{event.tool} {path or event.command or ''}", 1000)
