"""Recorded streams, played to a reader."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from pytest_gump.agents.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_gump.agents.base import Ending, Event, SessionRef, StreamReader

STREAMS = Path(__file__).parent / "streams"
TASK = Task(step="impl", item=None, attempt=1, agent="any", prompt="", worktree=Path("/slot"), mode="diff")


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The streams of one CLI and how its reader is made."""

    cli: str
    reader: Callable[[Task], StreamReader]

    @property
    def scenarios(self) -> list[str]:
        return sorted(folder.name for folder in (STREAMS / self.cli).iterdir())

    def lines(self, scenario: str) -> list[bytes]:
        return (STREAMS / self.cli / scenario / "stream.ndjson").read_bytes().splitlines()

    def reader_for(self, session: SessionRef | None) -> StreamReader:
        return self.reader(dataclasses.replace(TASK, session=session))

    def play(
        self, scenario: str, *, session: SessionRef | None = None, stopped: bool = False
    ) -> tuple[list[Event], Ending]:
        folder = STREAMS / self.cli / scenario
        reader = self.reader_for(session)
        events = feed(reader, self.lines(scenario))
        errors = folder / "stderr.txt"
        exit_code = json.loads((folder / "exit.json").read_bytes())["exit_code"]
        stderr = errors.read_text(encoding="utf-8") if errors.exists() else ""
        return events, reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)

    def end(
        self, lines: Iterable[bytes], *, exit_code: int | None = 0, stderr: str = "", stopped: bool = False
    ) -> Ending:
        reader = self.reader(TASK)
        feed(reader, lines)
        return reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)

    def mutated(self, scenario: str, which: int, path: list[int], replacement: Any) -> list[bytes]:
        """The lines of a stream with something else at one place of one of them."""
        lines = self.lines(scenario)
        if lines:
            number = which % len(lines)
            lines[number] = json.dumps(mutate(json.loads(lines[number]), path, replacement)).encode()
        return lines


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
    """Put something else at a place of a JSON document."""
    if not path or not isinstance(value, dict | list) or not value:
        return replacement
    if isinstance(value, dict):
        key = sorted(value)[path[0] % len(value)]
        return {**value, key: mutate(value[key], path[1:], replacement)}
    position = path[0] % len(value)
    return [*value[:position], mutate(value[position], path[1:], replacement), *value[position + 1 :]]
