"""Statistics of an attempt: kinds of turns, failed and repeated tool calls, and the time of the first write."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import ToolCall, ToolResult, Turn
from pytest_gump.order import ToolUse, TurnKinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.agents.base import Event

LOOP: Final = 3
"""Consecutive failures of the same call that count as a loop."""
MANY: Final = 5
"""Failed calls that get a note, if they are at least half of all calls."""
_MOST: Final = 1000
"""Calls to remember, because a stream may have any number of them."""


class ToolWatch:
    """Counts the turns and tool calls of one start of an agent; its clock starts when the object is created.

    `is_handed_over` returns True for the path of the step's output file, which is not a change of the project.
    """

    def __init__(self, *, is_handed_over: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._is_handed_over = is_handed_over
        self._clock = clock
        self._began = clock()
        self._last: ToolCall | None = None
        self._repeated = 0
        self._first_write: tuple[float, int] | None = None
        """Time and turn of the first write that has not failed."""
        self._first_call: ToolCall | None = None
        self._turn = 0
        self._kind = ""
        """Kind of the current turn; empty before the first turn."""
        self._kinds: Counter[str] = Counter()
        """Kinds of the turns before."""
        self._results = _Results()

    def use(self, longest_silence_s: float = 0.0) -> ToolUse:
        """Return the statistics so far."""
        first_write_s, first_write_turn = self._first_write or (None, None)
        kinds = self._kinds + Counter([self._kind] if self._kind else ())
        return ToolUse(
            failed=self._results.failed,
            repeated=self._repeated,
            first_write_s=first_write_s,
            first_write_turn=first_write_turn or None,
            corrected=self._results.corrected,
            failure_loops=self._results.loops,
            kinds=TurnKinds(**kinds),
            longest_silence_s=longest_silence_s,
        )

    def notes(self) -> list[str]:
        """Return a note if most calls failed, for example because the CLI's sandbox does not work on this machine."""
        failed, ended = self._results.failed, self._results.ended
        return [f"{failed} of {ended} tool calls failed"] if failed >= MANY and 2 * failed >= ended else []

    def feed(self, event: Event) -> None:
        if isinstance(event, ToolCall):
            self._call(event)
        elif isinstance(event, ToolResult):
            call = self._results.end(is_error=event.is_error)
            if event.is_error and call is not None and call is self._first_call:
                self._first_write = self._first_call = None  # for example, the CLI refused it
        elif isinstance(event, Turn):
            self._turn = event.number
            self._kinds.update([self._kind] if self._kind else ())
            self._kind = "text"
            self._results.forget_open()

    def _call(self, call: ToolCall) -> None:
        self._repeated += _says_what(call) and call == self._last
        self._last = call
        self._results.begin(call)
        if self._kind:
            self._kind = min(self._kind, _kind(call), key=_ORDER.index)
        if self._first_write is None and call.path is not None and not self._is_handed_over(call.path):
            self._first_write, self._first_call = (self._clock() - self._began, self._turn), call


class _Results:
    """Results of tool calls. A result belongs to the oldest call without one, because events have no ids."""

    def __init__(self) -> None:
        self.ended = self.failed = self.corrected = self.loops = 0
        self._open: deque[ToolCall] = deque(maxlen=_MOST)
        self._failing: dict[ToolCall, None] = {}
        """Calls that have failed and not succeeded since."""
        self._series: tuple[ToolCall | None, int] = None, 0
        """The call that ended last, and how often it has failed without another call between."""

    def begin(self, call: ToolCall) -> None:
        self._open.append(call)

    def forget_open(self) -> None:
        """Forget calls without a result: the model has continued."""
        self._open.clear()

    def end(self, *, is_error: bool) -> ToolCall | None:
        """Count a result, and return its call."""
        self.ended += 1
        self.failed += is_error
        call = self._open.popleft() if self._open else None
        if call is None or not _says_what(call):
            self._series = None, 0
        elif is_error:
            self._fail(call)
        else:
            self.corrected += call in self._failing
            self._failing.pop(call, None)
            self._series = None, 0
        return call

    def _fail(self, call: ToolCall) -> None:
        if len(self._failing) < _MOST:
            self._failing[call] = None
        before, times = self._series
        self._series = call, times + 1 if call == before else 1
        self.loops += self._series[1] == LOOP


_ORDER: Final = ("write", "command", "other", "text")


def _kind(call: ToolCall) -> str:
    return "write" if call.path is not None else "command" if call.command is not None else "other"


def _says_what(call: ToolCall) -> bool:
    return call.command is not None or call.path is not None
