"""The stream of Claude Code in a session: the cost of a megabyte, beyond the session with a short stream.

The streams repeat the calls and answers of a recorded run of the CLI (tests/agents/recorded) between its first and its
last line. Its paths are replaced, so that the files that it writes are in the step's worktree. The floor reads the same
stream from `cat`, with `json.loads` of each line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Cost, alternate
from scene import Project, output, workspace
from step import loaded
from targets import Measured, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MB = 1_000_000
RECORDED = Path(__file__).parents[1] / "tests" / "agents" / "recorded" / "claude"
KINDS = {"long": ("big-output", 40), "short": ("basic", 15)}
"""The recorded run, and the size of the stream in megabytes. Lines have 3,000 and 700 bytes on average."""
LONGEST = 8000
"""Lines are shortened to this number of bytes, as for a file that is read. Recorded command output has four times more.
"""
WORDS = ("--gump-workflow=talk", "spec.md")
TALK = """\
name: talk
steps:
  - {name: talk, agent: talker, allow_no_change: true, prompt: Talk.}
"""
PARSE = """\
import json, os, subprocess, sys
before = os.times()
with subprocess.Popen(["cat", sys.argv[1]], stdout=subprocess.PIPE) as cat:
    for line in cat.stdout:
        json.loads(line)
print(*(1000 * (sum(os.times()[:4]) - sum(before[:4])), 1000 * (os.times()[4] - before[4])))
"""


def measure(rounds: int, names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder)
        project.workflow("talk", TALK)
        for kind, (recording, size) in KINDS.items():
            if f"streams/{kind}" in names:
                yield one(project, kind, recording, size, rounds)
        if "streams/memory" in names:
            yield number("streams/memory", memory(project))


def memory(project: Project) -> float:
    """Return the megabytes that a session needs for two lines: one of 50 MB, which is not read, and one of 15 MB."""
    lines = (RECORDED / "big-output" / "stream.ndjson").read_bytes().splitlines(keepends=True)
    longest = max(lines, key=len)
    peaks = []
    for sizes in ((), (50 * MB, 15 * MB - len(longest))):
        long = [longest.replace(b"xxxx", b"x" * size, 1) for size in sizes]
        (project.path.parent / "agent" / "claude.ndjson").write_bytes(b"".join([*lines[:-1], *long, lines[-1]]))
        peaks.append(float(loaded(project, *WORDS)["peak_mb"]))
    return peaks[1] - peaks[0]


def one(project: Project, kind: str, recording: str, megabytes: int, rounds: int) -> Measured:
    agent = project.path.parent / "agent"
    big, stream = agent / "big.ndjson", agent / "claude.ndjson"
    lines = [
        re.sub(rb"x{%d}" % 80, b"", line, count=max(0, len(line) - LONGEST) // 80)
        for line in (RECORDED / recording / "stream.ndjson").read_bytes().splitlines(keepends=True)
    ]
    write(stream, lines, 0)
    project.pytest(*WORDS)
    folder = re.search(rb'"cwd":"([^"]+)"', lines[0])
    assert folder is not None
    worktree = (agent / "worktree").read_bytes().strip()
    lines = [line.replace(folder[1], worktree) for line in lines]
    write(big, lines, megabytes * MB)

    def session(size: int) -> Cost:
        write(stream, lines, size)
        return project.pytest(*WORDS)

    costs = alternate(
        rounds,
        {
            "floor": lambda: Cost(*map(float, output("-c", PARSE, str(big), cwd=agent).split())),
            "little": lambda: session(0),
            "much": lambda: session(megabytes * MB),
        },
    )
    floors = [cost * (1 / megabytes) for cost in costs["floor"]]
    return Measured(f"streams/{kind}", costs["much"], floors, less=costs["little"], parts=megabytes)


def write(path: Path, lines: Sequence[bytes], size: int) -> None:
    """Write a stream of at least this size. Every copy of an answer gets another id."""
    first, *middle, last = lines
    talk = b"".join(middle)
    with path.open("wb") as file:
        file.write(first)
        for number in range(max(1, -(-size // len(talk)))):
            file.write(talk.replace(b'"msg_', b'"msg_%d_' % number))
        file.write(last)
