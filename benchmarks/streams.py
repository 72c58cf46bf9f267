"""Measure how fast the stream of each agent CLI is read, and in how much memory. See README.md.

Each stream is made of what the CLI really printed (tests/agents/recorded): its recorded runs one after another, round
after round. `real` is all of them, so that the run with a command that prints 2 MB has its natural share, one in some
30 runs. `small` is `real` without that run. `huge` is `real` with a line of 50 MB, which only goes to disk, and one of
15 MB, which is read. The floor is `json.loads` of every line. Each stream is read alone (reader, with the guards that
watch it) and through a child process, as in an attempt (attempt). Every figure comes from a process of its own, so that
its peak memory is known.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.agents.base import Task
from pytest_gump.agents.family import FAMILIES
from pytest_gump.engine.checks.guard import GuardWatch
from pytest_gump.order import Limits
from pytest_gump.system.processes.output import MAX_LINE_BYTES
from pytest_gump.system.processes.process import Request, Supervisor
from scene import show, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.agents.base import StreamReader

MB = 1_000_000
STREAMS = Path(__file__).parents[1] / "tests" / "agents" / "recorded"
BIG = "big-output"
TASK = Task(step="a", item=None, attempt=1, agent="any", prompt="", worktree=Path("/w"), mode="diff")
MODELS = {"codex": "gpt-5.5", "gemini": "gemini-2.5-pro", "opencode": "anthropic/claude-sonnet-4-5"}
BY_HAND = {"cursor"}
"""One short stream, from the documentation: shown, but no measure of anything real."""

LEAST_MB_S = 60
MOST_MB = 80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli", nargs="*", help=f"of {', '.join(FAMILIES)}; all without it")
    parser.add_argument("--size", type=int, default=200, help="megabytes of a stream")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--one", nargs=3, metavar=("HOW", "CLI", "FILE"), help="measure one thing in this process")
    arguments = parser.parse_args()
    if arguments.one:
        how, cli, file = arguments.one
        print(json.dumps(HOW[how](cli, Path(file))))
        return
    with workspace() as folder:
        for cli in arguments.cli or FAMILIES:
            for kind in ("real",) if cli in BY_HAND else ("real", "small", "huge"):
                stream = folder / f"{cli}-{kind}.ndjson"
                write_stream(stream, cli, kind, arguments.size * MB)
                compare(cli, kind, stream, arguments.repeat)
                stream.unlink()


def compare(cli: str, kind: str, stream: Path, repeat: int) -> None:
    size = stream.stat().st_size / MB
    target = LEAST_MB_S if kind != "small" and cli not in BY_HAND else None
    floor, _ = measure("floor", cli, stream, repeat)
    show(f"{cli} {kind}: json.loads of every line", size / floor, "MB/s")
    for how in ("reader", "attempt"):
        seconds, peak_mb = measure(how, cli, stream, repeat)
        row = f"{cli} {kind}: {how}, {floor / seconds:.0%} of json.loads"
        show(row, size / seconds, "MB/s", target=target if how == "reader" else None, at_least=True)
    show("  peak memory of the reading process", peak_mb, "MB", target=MOST_MB)


def measure(how: str, cli: str, stream: Path, repeat: int) -> tuple[float, float]:
    """The fastest time in seconds, the highest peak in MB."""
    command = [sys.executable, __file__, "--one", how, cli, str(stream)]
    results = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repeat)]
    return min(result["seconds"] for result in results), max(result["peak_mb"] for result in results)


# -- one measurement -----------------------------------------------------------------------------------------------


def parse_only(_cli: str, stream: Path) -> dict[str, float]:
    began = time.process_time()
    for line in lines(stream):
        json.loads(line)
    return result(began)


def read_alone(cli: str, stream: Path) -> dict[str, float]:
    reader, watch = FAMILIES[cli].reads(TASK, MODELS.get(cli)), new_watch()
    began = time.process_time()
    for line in lines(stream):
        feed(reader, watch, line)
    return result(began)


def read_as_in_an_attempt(cli: str, stream: Path) -> dict[str, float]:
    reader, watch = FAMILIES[cli].reads(TASK, MODELS.get(cli)), new_watch()
    copy = stream.with_suffix(".copy")
    request = Request(("cat", str(stream)), cwd=stream.parent, env=dict(os.environ), mark="bench", stdout=copy)
    with Supervisor() as supervisor:
        began = time.process_time()
        finished = supervisor.run(
            request, on_line=lambda line: feed(reader, watch, line), on_oversize=lambda _size: None
        )
        told = result(began)
    if finished.exit_code != 0 or copy.stat().st_size != stream.stat().st_size:
        sys.exit(f"the stream did not come through: {finished}")
    copy.unlink()
    return told


HOW = {"floor": parse_only, "reader": read_alone, "attempt": read_as_in_an_attempt}


def lines(stream: Path) -> Iterator[bytes]:
    with stream.open("rb") as file:
        for line in file:
            if len(line) <= MAX_LINE_BYTES:
                yield line[:-1]


def feed(reader: StreamReader, watch: GuardWatch, line: bytes) -> None:
    watch.on_output()
    for event in reader.feed(line):
        watch.feed(event)


def new_watch() -> GuardWatch:
    limits = Limits(max_turns=10**9, max_budget=1e9, silence_s=600)
    return GuardWatch(limits, may_write=lambda _path: False, clock=time.monotonic)


def result(began: float) -> dict[str, float]:
    return {"seconds": time.process_time() - began, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Most memory that this program held; `ru_maxrss` would begin with that of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1000


# -- streams -------------------------------------------------------------------------------------------------------


def write_stream(path: Path, cli: str, kind: str, size: int) -> None:
    runs = [content(folder) for folder in sorted((STREAMS / cli).iterdir()) if kind != "small" or folder.name != BIG]
    recorded = b"".join(run if run.endswith(b"\n") else run + b"\n" for run in runs if run)
    with path.open("wb") as file:
        number = 0
        while file.tell() < size:
            # Answers are told apart by their id: those of another round are others.
            file.write(recorded.replace(b'"msg_', b'"msg_%d_' % number))
            if kind == "huge" and number == 0:
                longest = max(recorded.splitlines(), key=len)
                file.write(stretched(longest, 50 * MB) + stretched(longest, 15 * MB - len(longest)))
            number += 1


def content(folder: Path) -> bytes:
    packed = folder / "stream.ndjson.gz"
    return gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "stream.ndjson").read_bytes()


def stretched(line: bytes, size: int) -> bytes:
    """A line of the CLI's own with a longer text in it."""
    runs = line.find(b"xxxx")
    if runs < 0:
        sys.exit("the longest recorded line holds no text to make longer")
    return line[:runs] + b"x" * size + line[runs:] + b"\n"


if __name__ == "__main__":
    main()
