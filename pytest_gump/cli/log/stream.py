"""Format the recorded stream of an attempt as readable lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, Final

from pytest_gump.agents import registry
from pytest_gump.agents.base import Note, Task, Text, ToolCall, ToolResult, Turn
from pytest_gump.agents.cassettes import neutral
from pytest_gump.agents.family import FAMILIES
from pytest_gump.system.processes.output import MAX_LINE_BYTES
from pytest_gump.text import bounded_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.agents.base import Event, StreamReader
    from pytest_gump.engine.record.records import AttemptRecord

TEXT_CHARS: Final = 6_000
_NEUTRAL_KINDS: Final = frozenset({"started", "turn", "text", "tool_call", "tool_result", "usage", "note"})


def read_stream(attempt: AttemptRecord, folder: Path, *, arrow: str) -> Iterator[str] | None:
    """Return the agent's messages and tool calls as lines, in order; None if the stream is missing or empty.

    Paths in the attempt's worktree are shown relative to it.
    """
    path = folder / "stream.ndjson"
    if not path.is_file() or not path.stat().st_size:
        return None
    reader = _reader(attempt, path)
    if reader is None:
        return _as_printed(attempt, path)
    return _lines(reader, path, attempt.slot, arrow)


def _as_printed(attempt: AttemptRecord, path: Path) -> Iterator[str]:
    """Yield the raw output of an agent of a conftest or plugin, whose reader is unknown here."""
    yield f"raw output of {attempt.agent}, an agent that a conftest or plugin defines:"
    for line in _stream(path):
        yield bounded_text(line.decode("utf-8", "replace"), TEXT_CHARS)


def _lines(reader: StreamReader, path: Path, slot: str, arrow: str) -> Iterator[str]:
    said = ""
    for line in _stream(path):
        for event in reader.feed(line):
            said = event.text if isinstance(event, Text) else said
            text = _describe(event, slot, arrow)
            if text:
                yield bounded_text(text, TEXT_CHARS)
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    if ending.message and ending.message.strip() != said.strip():
        yield bounded_text(ending.message, TEXT_CHARS)


def follow_stream(attempt: AttemptRecord, folder: Path, *, arrow: str) -> Iterator[str | None]:
    """Like `read_stream`, for a growing file. Yield None if there is nothing new."""
    path = folder / "stream.ndjson"
    while not path.is_file() or not path.stat().st_size:
        yield None
    reader: StreamReader | None = None
    with path.open("rb") as file:
        for line in _growing(file):
            if line is None:
                yield None
                continue
            reader = reader or _reader(attempt, path)
            events = reader.feed(line) if reader is not None else ()
            texts = [_describe(event, attempt.slot, arrow) for event in events]
            if reader is None:
                texts = [line.decode("utf-8", "replace")]
            yield from (bounded_text(text, TEXT_CHARS) for text in texts if text)


def _growing(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield complete lines of a file that another process writes; None if there is none yet."""
    rest = b""
    while True:
        rest += file.readline(MAX_LINE_BYTES + 1 - len(rest))
        if rest.endswith(b"\n"):
            yield rest.rstrip(b"\n")
            rest = b""
        elif len(rest) > MAX_LINE_BYTES:
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(MAX_LINE_BYTES)
            rest = b""
        else:
            yield None


def _describe(event: Event, slot: str, arrow: str) -> str:
    match event:
        case Turn(number=number):
            return f"-- turn {number}"
        case Text(text=text):
            return text.strip("\n")
        case ToolCall(tool=tool, path=path, command=command):
            target = path.rpartition(f"/{slot}/")[2] if path else command or ""
            return f"{arrow} {tool} {target}".rstrip()
        case ToolResult(is_error=True):
            return "   (that failed)"
        case Note(text=text):
            return f"note: {text}"
        case _:
            return ""


def _stream(path: Path) -> Iterator[bytes]:
    """Yield the lines of the file. Skip lines over the limit, as during the attempt."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            if len(line) <= MAX_LINE_BYTES:
                yield line.rstrip(b"\n")
                continue
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)


def _reader(attempt: AttemptRecord, path: Path) -> StreamReader | None:
    """Return the reader for the stream. In a replay, any agent can have a neutral stream."""
    name = attempt.agent or ""
    mode = "diff" if attempt.mode == "gate" else attempt.mode
    task = Task(
        step=attempt.step,
        item=None,
        attempt=attempt.attempt,
        agent=name,
        prompt="",
        worktree=path.parent,
        mode=mode,  # type: ignore[arg-type]  # the ledger's text
    )
    if _is_neutral(path):
        return neutral.NeutralReader(task)
    family = FAMILIES.get(registry.cli_of(name) or "")
    return family.reads(task) if family else None


def _is_neutral(path: Path) -> bool:
    for line in _stream(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and "type" in record:
            return record["type"] in _NEUTRAL_KINDS
    return False
