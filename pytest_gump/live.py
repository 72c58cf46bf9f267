"""What goes on at this moment: a line that is written over on a terminal, a heartbeat where there is none."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.gates.text import one_line
from pytest_gump.lines import Running, fit, live_line, running_text, waits_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_gump.agents.base import Event
    from pytest_gump.engine.metrics import AttemptRecord
    from pytest_gump.screen import Screen

HEARTBEAT_S: Final = 60.0
REFRESH_S: Final = 0.2
TOLD_TOOLS: Final = 2
"""The verbosity from which on tool calls are shown as they come."""


@dataclass(slots=True)
class _Attempt:
    step: str
    agent: str | None
    began: float
    slot: str
    label: str
    turns: int = 0
    usd: float | None = None


class Live:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._attempts: dict[int, _Attempt] = {}
        self._shown = 0.0
        self.waits: Callable[[], Iterable[tuple[str, float]]] = tuple
        """The CLIs whose account is at a limit, each with the seconds that are left."""

    def started(self, ticket: int, record: AttemptRecord, *, slot: str, label: str) -> None:
        self._add(ticket, _Attempt(record.step, record.agent, record.started, slot, label))

    def preflight_started(self, ticket: int, *, slot: str, label: str) -> None:
        self._add(ticket, _Attempt("preflight", None, time.time(), slot, label))

    def _add(self, ticket: int, attempt: _Attempt) -> None:
        if not self._attempts:
            self._shown = time.monotonic()
        self._attempts[ticket] = attempt

    def ended(self, ticket: int) -> None:
        self._attempts.pop(ticket, None)

    def heard(self, ticket: int, event: Event | None) -> None:
        """Take an event of a running agent, or a tick (None)."""
        attempt = self._attempts.get(ticket)
        match event:
            case Turn(number=number) if attempt is not None:
                attempt.turns = number
            case UsageSeen(usage=usage) if attempt is not None:
                attempt.usd = usage.cost_usd
            case ToolCall() if attempt is not None and self._screen.verbosity >= TOLD_TOOLS:
                self._tell(attempt, event)
        self.tick()

    def tick(self) -> None:
        """Look at the clock; to be called several times a second."""
        screen, now, waits = self._screen, time.monotonic(), [*self.waits()]
        if screen.reporter is None or not (self._attempts or waits) or screen.verbosity < 0:
            return
        if screen.reporter.isatty and now - self._shown >= REFRESH_S:
            self._shown = now
            with screen.outside_capture():
                screen.write_over(live_line([*self._running()], screen.marks, screen.columns, waits=waits))
        elif not screen.reporter.isatty and now - self._shown >= HEARTBEAT_S:
            self._shown = now
            with screen.outside_capture():
                for text in (*map(running_text, self._running()), *(waits_text(*one) for one in waits)):
                    screen.write(fit(f"{screen.marks.running} {text}", screen.columns - 1))

    def _running(self) -> Iterator[Running]:
        now = time.time()
        for attempt in self._attempts.values():
            seconds = now - attempt.began
            yield Running(attempt.label, attempt.step, attempt.agent, attempt.turns, attempt.usd, seconds)

    def _tell(self, attempt: _Attempt, event: ToolCall) -> None:
        """Some CLIs name files absolutely, and the worktree's own path is long."""
        path = (event.path or "").rpartition(f"/{attempt.slot}/")[2]
        told = one_line(f"{event.tool} {path or event.command or ''}", 1000)
        who = f"{attempt.label}{attempt.step}: " if len(self._attempts) > 1 else ""
        with self._screen.outside_capture():
            self._screen.write(fit(f"      {who}{told}", self._screen.columns))
