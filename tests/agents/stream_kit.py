"""Recorded streams, how a reader gets them, and the ending that each must have."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from pytest_gump.agents.base import Task, Text, ToolCall, ToolResult, Turn
from pytest_gump.agents.usage import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_gump.agents.base import Ending, Event, SessionRef, Started, StreamReader
    from pytest_gump.agents.usage import Provenance

STREAMS: Final = Path(__file__).parent / "recorded"
TASK: Final = Task(step="impl", item=None, attempt=1, agent="any", prompt="", worktree=Path("/slot"), mode="diff")


@dataclasses.dataclass(frozen=True)
class End:
    """All that a reader reports about a run. An omitted field is empty: no turn, no token, no note."""

    outcome: str = "ok"
    reason: str = ""
    turns: int = 0
    calls: int = 0
    tokens: tuple[int, ...] = ()
    """Input, cache read, cache write, output, reasoning, without zeros at the end."""
    context: int = 0
    """The largest context of one answer, in tokens."""
    usd: float | None = 0.0
    by: Provenance | None = None
    """None means the provenance of the CLI, or `unknown` if there is no cost."""
    limit: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def counted(self) -> Tokens:
        return Tokens(*self.tokens)


def failed(reason: str, **more: Any) -> End:
    return End("agent_error", reason, **more)


@dataclasses.dataclass(frozen=True)
class Resumed:
    """A run that resumed the session of another, and its own usage."""

    first: str
    second: str
    tokens: tuple[int, ...]
    usd: float | None = None
    session_tokens: tuple[int, ...] = ()
    """The total that the session keeps, to be subtracted from the next total."""
    same_id: bool = True


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The streams of one CLI, its reader, and what that reader must report."""

    cli: str
    reader: Callable[[Task], StreamReader]
    by: Provenance
    ends: Mapping[str, End]
    events: tuple[Event, ...]
    """The events of `basic`, without usage."""
    message: str
    resumed: tuple[Resumed, ...]
    shows: Mapping[str, str]
    """The scenario of each kind of failure."""
    total: int
    """All tokens of `basic`, as the CLI or the model server reports them."""
    rates: tuple[float, float, float, float]
    """Dollars per million tokens: input, cache read, cache write, output and reasoning."""
    unfinished: str
    """The reason for `basic` without its last line and with exit code 0."""
    bad_exit: str
    """The reason for `basic` with exit code 1 and `boom` on stderr."""
    meaningless: tuple[bytes, ...] = ()
    """Lines for which a reader reports nothing."""
    large: Callable[[str], bytes] | None = None
    """A line with a text of any length."""

    @property
    def scenarios(self) -> list[str]:
        return sorted(folder.name for folder in (STREAMS / self.cli).iterdir())

    def content(self, scenario: str) -> bytes:
        file = STREAMS / self.cli / scenario / "stream.ndjson"
        packed = file.with_suffix(".ndjson.gz")
        return gzip.decompress(packed.read_bytes()) if packed.exists() else file.read_bytes()

    def lines(self, scenario: str) -> list[bytes]:
        return self.content(scenario).splitlines()

    def exit_code(self, scenario: str) -> int | None:
        code: int | None = json.loads((STREAMS / self.cli / scenario / "exit.json").read_bytes())["exit_code"]
        return code

    def reader_for(self, session: SessionRef | None) -> StreamReader:
        return self.reader(dataclasses.replace(TASK, session=session))

    def play(
        self, scenario: str, *, session: SessionRef | None = None, stopped: bool = False
    ) -> tuple[list[Event], Ending]:
        reader = self.reader_for(session)
        events = feed(reader, self.lines(scenario))
        errors = STREAMS / self.cli / scenario / "stderr.txt"
        stderr = errors.read_text(encoding="utf-8") if errors.exists() else ""
        return events, reader.finish(exit_code=self.exit_code(scenario), stderr=stderr, stopped=stopped)

    def end(
        self, lines: Iterable[bytes], *, exit_code: int | None = 0, stderr: str = "", stopped: bool = False
    ) -> Ending:
        reader = self.reader(TASK)
        feed(reader, lines)
        return reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)

    def mutated(self, scenario: str, which: int, path: list[int], replacement: Any) -> list[bytes]:
        """Generate the lines of a stream with one value of one line replaced."""
        lines = self.lines(scenario)
        if lines:
            number = which % len(lines)
            lines[number] = json.dumps(mutate(json.loads(lines[number]), path, replacement)).encode()
        return lines


PLAIN_COMMAND: Final = "python3 hello.py > out.txt; cat out.txt"
PLAIN_MESSAGE: Final = "All done: hello.py written and run."


def plain_run(started: Started, *, writes: ToolCall, runs: str) -> tuple[Event, ...]:
    """The events of all five CLIs for the request to write a file and run it."""
    return (
        started,
        *(Turn(1), Text("I will write the file."), writes, ToolResult()),
        *(Turn(2), Text("Now run it."), ToolCall(runs, command=PLAIN_COMMAND), ToolResult()),
        *(Turn(3), Text(PLAIN_MESSAGE)),
    )


def feed(reader: StreamReader, lines: Iterable[bytes]) -> list[Event]:
    return [event for line in lines for event in reader.feed(line)]


def line(**record: Any) -> bytes:
    return json.dumps(record).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.lists(st.integers(0, 40), min_size=1, max_size=4)


def mutate(value: Any, path: list[int], replacement: Any) -> Any:
    """Replace the value at one place of a JSON document."""
    if not path or not isinstance(value, dict | list) or not value:
        return replacement
    if isinstance(value, dict):
        key = sorted(value)[path[0] % len(value)]
        return {**value, key: mutate(value[key], path[1:], replacement)}
    position = path[0] % len(value)
    return [*value[:position], mutate(value[position], path[1:], replacement), *value[position + 1 :]]
