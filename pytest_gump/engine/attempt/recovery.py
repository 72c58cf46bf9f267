"""Complete the result of an attempt whose executor was lost, from the files on disk."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.agents.usage import Usage
from pytest_gump.engine.attempt.agent_phase import STREAM, make_task
from pytest_gump.engine.attempt.facts import write_result
from pytest_gump.order import Timings
from pytest_gump.system.directory import Directory
from pytest_gump.system.processes.output import LineSplitter
from pytest_gump.system.secrets import Secrets

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.agents.base import Ending, StreamReader
    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.order import AttemptResult, Order

_CHUNK = 1 << 20


def recover(
    order: Order, tools: Tools, result: AttemptResult, folder: Path, began: float, *, ended: float | None = None
) -> AttemptResult:
    """Complete the result of a lost attempt with its files, its time, and the cost that the agent's stream shows.

    `began` and `ended` are in seconds since the epoch. `ended` is when the attempt was lost; None means now.
    """
    timings = Timings(started=began, total_s=max(0.0, (tools.now() if ended is None else ended) - began))
    result = replace(result, timings=timings)
    names: tuple[str, ...] = ()
    if order.agent is not None and (folder / STREAM).is_file():
        ending, names = _read(order, order.agent, tools, folder)
        result = replace(result, usage=ending.usage if ending else Usage(), model=ending.model if ending else None)
    secrets = Secrets.named({*tools.settings.agent_env, *tools.settings.gate_env, *names})
    try:
        secrets.mask_files(folder)
        write_result(Directory.open(folder), result)
    except OSError:  # a full disk: files that may hold secrets are not kept
        return result
    return replace(result, scratch=str(folder))


def _read(order: Order, name: str, tools: Tools, folder: Path) -> tuple[Ending | None, tuple[str, ...]]:
    """Return the ending that the agent's stream shows so far, and the names of the agent's environment variables.

    The adapter may have caused the failure: if it raises an error, the ending is None.
    """
    prompt = folder / "prompt.md"
    text = prompt.read_text(encoding="utf-8", errors="surrogateescape") if prompt.is_file() else ""
    names: tuple[str, ...] = ()
    try:
        agent = tools.agents(name)
        task = make_task(order, tools, tools.slots.slot(order.slot).path, text)
        names = agent.command(task).env_names
        reader = agent.reader(task)
        _feed(reader, folder / STREAM)
        ending = reader.finish(exit_code=None, stderr="", stopped=True)
        return replace(ending, usage=ending.usage.recorded), names
    except Exception:  # noqa: BLE001 - code of a conftest
        return None, names


def _feed(reader: StreamReader, stream: Path) -> None:
    def feed(line: bytes) -> None:
        with suppress(Exception):
            for _ in reader.feed(line):
                pass

    splitter = LineSplitter(feed, None)
    with stream.open("rb") as file:
        while chunk := file.read(_CHUNK):
            splitter.feed(chunk)
    splitter.finish()
