"""Measure how fast an agent's stream is read, and in how much memory. See README.md.

Three streams of Claude's `stream-json`: `real` has the sizes of recorded sessions (file contents and command output in
tool results), `small` holds only the shortest events there are, `huge` is `real` with one line of 50 MB, which goes to
disk without being read. Each is read alone (reader), passed through a child process without a reader (process), and
both together as in an attempt. Every figure comes from a process of its own, so that its peak memory is known.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from pytest_gump.agents.base import Task
from pytest_gump.agents.claude_stream import ClaudeReader
from pytest_gump.engine.guard import GuardWatch
from pytest_gump.engine.order import Limits
from pytest_gump.system.process import Request, Supervisor
from scene import show, workspace

MB = 1_000_000
SESSION = "11111111-2222-4333-8444-555555555555"
TARGETS = {("real", "together"): 80, ("huge", "together"): 80}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=200, help="megabytes of a stream")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("HOW", "FILE"), help="measure one thing in this process")
    arguments = parser.parse_args()
    if arguments.one:
        how, file = arguments.one
        print(json.dumps(HOW[how](Path(file))))
        return
    with workspace() as folder:
        for kind in ("real", "small", "huge"):
            stream = folder / f"{kind}.ndjson"
            write_stream(stream, kind, arguments.size * MB)
            size = stream.stat().st_size
            for how in HOW:
                measure(kind, how, stream, size, arguments.repeat)
            stream.unlink()


def measure(kind: str, how: str, stream: Path, size: int, repeat: int) -> None:
    command = [sys.executable, __file__, "--one", how, str(stream)]
    results = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repeat)]
    fastest = min(result["seconds"] for result in results)
    show(f"{kind}: {how}", size / MB / fastest, "MB/s", target=TARGETS.get((kind, how)), at_least=True)
    if how == "together":
        show("  peak memory of the reading process", max(result["peak_mb"] for result in results), "MB", target=80)


def read_alone(stream: Path) -> dict[str, float]:
    reader, watch = new_reader(), new_watch()
    began = time.perf_counter()
    with stream.open("rb") as lines:
        for line in lines:
            if len(line) <= 16 << 20:
                feed(reader, watch, line[:-1])
    return result(began)


def process_alone(stream: Path) -> dict[str, float]:
    return through_process(stream, lambda _line: None)


def together(stream: Path) -> dict[str, float]:
    reader, watch = new_reader(), new_watch()
    return through_process(stream, lambda line: feed(reader, watch, line))


HOW = {"reader": read_alone, "process": process_alone, "together": together}


def through_process(stream: Path, on_line: object) -> dict[str, float]:
    copy = stream.with_suffix(".copy")
    request = Request(("cat", str(stream)), cwd=stream.parent, env=dict(os.environ), mark="bench", stdout=copy)
    with Supervisor() as supervisor:
        began = time.perf_counter()
        finished = supervisor.run(request, on_line=on_line, on_oversize=lambda _size: None)  # type: ignore[arg-type]
        told = result(began)
    if finished.exit_code != 0 or copy.stat().st_size != stream.stat().st_size:
        sys.exit(f"the stream did not come through: {finished}")
    copy.unlink()
    return told


def result(began: float) -> dict[str, float]:
    return {"seconds": time.perf_counter() - began, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Most memory that this program held; `ru_maxrss` would begin with that of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1000


def new_reader() -> ClaudeReader:
    return ClaudeReader(
        Task(step="a", item=None, attempt=1, agent="claude-haiku", prompt="", worktree=Path("/w"), mode="diff")
    )


def new_watch() -> GuardWatch:
    limits = Limits(max_turns=10**9, max_budget=1e9, silence_s=600)
    return GuardWatch(limits, may_write=lambda _path: False, clock=time.monotonic)


def feed(reader: ClaudeReader, watch: GuardWatch, line: bytes) -> None:
    watch.heard()
    for event in reader.feed(line):
        watch.feed(event)


# -- streams -------------------------------------------------------------------------------------------------------


def write_stream(path: Path, kind: str, size: int) -> None:
    chance = random.Random(1)
    with path.open("wb") as file:
        file.write(line(type="system", subtype="init", session_id=SESSION, model="claude-haiku-4-5", tools=["Bash"]))
        number = 0
        while file.tell() < size:
            number += 1
            if kind == "huge" and number == 1000:
                file.write(line(type="user", message=tool_result("x" * 50 * MB, number)))
            file.writelines(small_turn(number) if kind == "small" else real_turn(number, chance))
        file.write(
            line(
                type="result",
                subtype="success",
                is_error=False,
                result="Done.",
                session_id=SESSION,
                num_turns=number,
                total_cost_usd=1.25,
                usage={"input_tokens": 4, "output_tokens": 9},
            )
        )


def line(**record: object) -> bytes:
    return json.dumps({**record, "session_id": SESSION}, separators=(",", ":")).encode() + b"\n"


def assistant(number: int, block: dict[str, object]) -> bytes:
    usage = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 512,
        "cache_read_input_tokens": 20_000 + number,
        "cache_creation": {"ephemeral_5m_input_tokens": 512, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 3,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    message = {
        "model": "claude-haiku-4-5-20251001",
        "id": f"msg_{number:024d}",
        "type": "message",
        "role": "assistant",
        "content": [block],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return line(type="assistant", message=message, parent_tool_use_id=None, uuid=f"{number:036d}")


def tool_result(text: str, number: int) -> dict[str, object]:
    block = {"tool_use_id": f"toolu_{number:020d}", "type": "tool_result", "content": text}
    return {"role": "user", "content": [block]}


def small_turn(number: int) -> list[bytes]:
    call = {"type": "tool_use", "id": f"toolu_{number:020d}", "name": "Bash", "input": {"command": "ls"}}
    answer = line(type="user", message=tool_result("ok", number), parent_tool_use_id=None, uuid=f"{number:036d}")
    return [assistant(number, call), answer]


SOURCE = "".join(f'{number:5}\tdef function_{number}(value: int) -> str:  # "quoted"\n' for number in range(4000))


def real_turn(number: int, chance: random.Random) -> list[bytes]:
    """Text, a call and its answer: sizes from recorded sessions, where most bytes are what tools answered."""
    size = min(60_000, int(chance.lognormvariate(7.6, 1.3)))
    text = SOURCE[number % 50_000 :][:size]
    call = {"type": "tool_use", "id": f"toolu_{number:020d}", "name": "Read", "input": {"file_path": f"/w/{number}.py"}}
    file = {"filePath": f"/w/{number}.py", "content": text, "numLines": 40, "startLine": 1, "totalLines": 40}
    return [
        assistant(number, {"type": "text", "text": "I will look at the next file. " * 8}),
        assistant(number, call),
        line(
            type="user",
            message=tool_result(text, number),
            parent_tool_use_id=None,
            uuid=f"{number:036d}",
            tool_use_result={"type": "text", "file": file},
        ),
    ]


if __name__ == "__main__":
    main()
