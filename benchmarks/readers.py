"""The stream reader of each agent CLI, with guards, without a session. Measured only with --full.

A stream repeats all recorded runs of a CLI (tests/agents/recorded). The floor is `json.loads` of every line.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Cost, alternate
from pytest_gump.agents.base import Task
from pytest_gump.agents.family import FAMILIES
from pytest_gump.engine.checks.guard import GuardWatch
from pytest_gump.order import Limits
from pytest_gump.system.processes.output import MAX_LINE_BYTES
from scene import output, workspace
from targets import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1_000_000
SIZE = 50
"""Size of a stream in megabytes."""
RECORDED = Path(__file__).parents[1] / "tests" / "agents" / "recorded"
TASK = Task(step="a", item=None, attempt=1, agent="any", prompt="", worktree=Path("/w"), mode="diff")
MODELS = {"codex": "gpt-5.5", "gemini": "gemini-2.5-pro", "opencode": "anthropic/claude-sonnet-4-5"}


def measure(rounds: int, names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        for name in names:
            cli, stream = name.partition("/")[2], folder / "stream.ndjson"
            write(stream, cli)
            measures = {how: partial(read, how, cli, stream) for how in ("floor", "reader")}
            costs = alternate(rounds, measures, warm_up=False)
            yield Measured(name, costs["reader"], costs["floor"])


def read(how: str, cli: str, stream: Path) -> Cost:
    """Return the cost of one megabyte, measured in a separate process."""
    return Cost(*map(float, output(__file__, how, cli, str(stream), cwd=stream.parent).split())) * (1 / SIZE)


def write(path: Path, cli: str) -> None:
    runs = [content(folder) for folder in sorted((RECORDED / cli).iterdir())]
    recorded = b"".join(run if run.endswith(b"\n") else run + b"\n" for run in runs if run)
    with path.open("wb") as file:
        for number in range(-(-SIZE * MB // len(recorded))):
            # Every copy of an answer gets another id.
            file.write(recorded.replace(b'"msg_', b'"msg_%d_' % number))


def content(folder: Path) -> bytes:
    packed = folder / "stream.ndjson.gz"
    return gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "stream.ndjson").read_bytes()


# -- in a separate process -----------------------------------------------------------------------------------------


def main(how: str, cli: str, stream: Path) -> None:
    cpu, began = time.process_time(), time.perf_counter()
    if how == "floor":
        for line in lines(stream):
            json.loads(line)
    else:
        read_lines(cli, stream)
    print(1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - began))


def read_lines(cli: str, stream: Path) -> None:
    reader = FAMILIES[cli].reads(TASK, MODELS.get(cli))
    limits = Limits(max_turns=10**9, max_budget=1e9, silence_s=600)
    watch = GuardWatch(limits, may_write=lambda _path: False, clock=time.monotonic)
    for line in lines(stream):
        watch.on_output()
        for event in reader.feed(line):
            watch.feed(event)


def lines(stream: Path) -> Iterator[bytes]:
    with stream.open("rb") as file:
        for line in file:
            if len(line) <= MAX_LINE_BYTES:
                yield line[:-1]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
