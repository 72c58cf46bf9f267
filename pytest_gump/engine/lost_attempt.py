"""What can be told of an attempt whose executor was lost: what is on disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.agent_phase import STREAM, make_task
from pytest_gump.engine.json_text import json_text
from pytest_gump.engine.order import Timings, to_wire
from pytest_gump.engine.secrets import Secrets
from pytest_gump.errors import AgentError
from pytest_gump.system.output import LineSplitter

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.agents.base import Ending
    from pytest_gump.engine.order import AttemptResult, Order
    from pytest_gump.engine.tools import Tools

_CHUNK = 1 << 20


def scratch_of(scratch: Path, ticket: int) -> Path:
    """The scratch folder of one order, so that its files are found without anybody to ask."""
    return scratch / str(ticket)


def attempt_folder(scratch: Path, ticket: int) -> Path | None:
    """The files of an order, if it had begun to write any."""
    place = scratch_of(scratch, ticket)
    return next(iter(place.iterdir()), None) if place.is_dir() else None


def recover(order: Order, tools: Tools, result: AttemptResult, folder: Path, began: float) -> AttemptResult:
    """Complete the result of a lost attempt: its money as far as the agent's stream tells, and its files."""
    timings = Timings(started=began, total_s=max(0.0, tools.now() - began))
    result = replace(result, timings=timings, scratch=str(folder))
    ending, names = _read(order, tools, folder)
    if ending is not None:
        result = replace(result, usage=ending.usage, model=ending.model)
    secrets = Secrets.of({*tools.settings.agent_env, *tools.settings.gate_env, *names})
    secrets.mask_files(folder)
    text = json_text(to_wire(replace(result, scratch=None)), indent=2)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")
    return result


def _read(order: Order, tools: Tools, folder: Path) -> tuple[Ending | None, tuple[str, ...]]:
    """How far the agent's stream came, and the names of the variables that it was given."""
    stream = folder / STREAM
    if order.agent is None or not stream.is_file():
        return None, ()
    prompt = folder / "prompt.md"
    text = prompt.read_text(encoding="utf-8", errors="surrogateescape") if prompt.is_file() else ""
    try:
        agent = tools.agents(order.agent)
        task = make_task(order, tools, tools.slots.slot(order.slot).path, text)
        names = agent.command(task).env_names
        reader = agent.reader(task)
    except AgentError:
        return None, ()

    def feed(line: bytes) -> None:
        for _ in reader.feed(line):
            pass

    splitter = LineSplitter(feed, None)
    with stream.open("rb") as file:
        while chunk := file.read(_CHUNK):
            splitter.feed(chunk)
    splitter.finish()
    return reader.finish(exit_code=None, stderr="", stopped=True), names
