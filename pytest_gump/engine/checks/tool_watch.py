"""Statistics of an attempt's tool calls: failures, repeats, and the time of the first write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.agents.base import ToolCall, ToolResult
from pytest_gump.order import ToolUse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.agents.base import Event


class ToolWatch:
    """Counts the tool calls of one start of an agent; its clock starts when the object is created.

    `is_handed_over` returns True for the path of the step's output file, which is not a change of the project.
    """

    def __init__(self, *, is_handed_over: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._is_handed_over = is_handed_over
        self._clock = clock
        self._began = clock()
        self._last: ToolCall | None = None
        self._failed = self._repeated = 0
        self._first_write_s: float | None = None

    @property
    def use(self) -> ToolUse:
        return ToolUse(self._failed, self._repeated, self._first_write_s)

    def feed(self, event: Event) -> None:
        if isinstance(event, ToolCall):
            self._call(event)
        elif isinstance(event, ToolResult):
            self._failed += event.is_error

    def _call(self, call: ToolCall) -> None:
        says_what = call.command is not None or call.path is not None
        self._repeated += says_what and call == self._last
        self._last = call
        if self._first_write_s is None and call.path is not None and not self._is_handed_over(call.path):
            self._first_write_s = self._clock() - self._began
