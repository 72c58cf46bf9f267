"""Messages of a worker during an attempt.

Gates are sent at once. Costs are sent at most every 50 ms, and 20 tool calls between two ticks. At a tick, the current
turns and costs and the last tool call are sent if they have not been sent yet.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.engine.attempt.tools import GateStarted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.engine.attempt.tools import AttemptEvent

QUIET_S: Final = 0.05
"""Shortest time between two messages about usage, except at ticks."""
TOOLS_A_TICK: Final = 20
"""Most tool calls that are sent between two ticks. Of later calls, only the last one is sent, at the tick."""


class ProgressSender:
    def __init__(self, ticket: int, send: Callable[..., None], *, shows_tools: bool) -> None:
        self._ticket = ticket
        self._send = send
        self._shows_tools = shows_tools
        self._turns = 0
        self._usage: Usage | None = None
        self._sent: tuple[int, Usage | None] = 0, None
        self._sent_at = 0.0
        self._tools = 0
        self._last_call: ToolCall | None = None
        """Not sent yet."""

    def listen(self, event: AttemptEvent) -> None:
        match event:
            case Turn(number=number):
                self._turns = number
            case UsageSeen(usage=usage):
                self._usage = usage
                if time.monotonic() - self._sent_at >= QUIET_S:
                    self._send_usage()
            case ToolCall() if self._shows_tools and self._tools < TOOLS_A_TICK:
                self._tools += 1
                self._send_call(event)
            case ToolCall():
                self._last_call = event
            case GateStarted(name=name):
                self._last_call = None
                self._send("gate", self._ticket, name)
            case None:
                self._tools = 0
                self._send_call(self._last_call)
                self._send_usage()

    def _send_call(self, call: ToolCall | None) -> None:
        if call is not None:
            self._send("tool", self._ticket, call.tool, call.path, call.command)
        self._last_call = None

    def _send_usage(self) -> None:
        if (self._turns, self._usage) == self._sent:
            return
        self._sent, self._sent_at = (self._turns, self._usage), time.monotonic()
        self._send("live", self._ticket, self._turns, None if self._usage is None else asdict(self._usage))


def usage_of(wire: dict[str, Any]) -> Usage:
    return Usage(**{**wire, "tokens": Tokens(**wire["tokens"])})
