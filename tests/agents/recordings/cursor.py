"""The stream of Cursor is not recorded. It was written by hand from the documentation of 2026-11-22."""

from __future__ import annotations

from pytest_gump.agents.base import Started, Text, ToolCall, ToolResult, Turn
from pytest_gump.agents.clis.cursor_stream import CursorReader

from tests.agents.stream_kit import End, Recorded, line

ENDS = {
    "basic": End(turns=5, calls=4, usd=None),
}

EVENTS = (
    Started("c6b62c6f-7ead-4fd6-9922-e952131177ff", "Claude 4.6 Sonnet"),
    Turn(1),
    Text("I will write the file."),
    ToolCall("write", path="/slot/hello.py"),
    ToolResult(),
    Turn(2),
    ToolCall("shell", command="python3 hello.py"),
    ToolResult(is_error=True),
    Turn(3),
    ToolCall("read"),
    ToolResult(),
    Turn(4),
    ToolCall("edit", path="/slot/hello.py"),
    ToolResult(),
    Turn(5),
    Text("All done."),
)

CURSOR = Recorded(
    "cursor",
    CursorReader,
    by="unknown",
    ends=ENDS,
    events=EVENTS,
    message="I will write the file.All done.",
    resumed=(),
    shows={},
    total=0,
    rates=(0, 0, 0, 0),
    unfinished="exit code 0 without a result",
    bad_exit="exit code 1 after a successful result: boom",
    meaningless=(line(type="user", message={}), line(type="thinking", subtype="delta")),
    large=lambda text: line(type="assistant", message={"content": [{"type": "text", "text": text}]}),
)
