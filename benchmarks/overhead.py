"""Measure what gump costs beyond its agents and gates, next to the floor that git sets. See README.md.

One more plan item is timed between the `attempt_started` events of one run, so that neither start nor end of the
session count; its agent prints five lines and its gate is `true`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import Counter
from typing import TYPE_CHECKING

from scene import Project, counting_git, median, show, workspace

if TYPE_CHECKING:
    from pathlib import Path

PLAN = """\
name: overhead-{agent}
steps:
  - name: plan
    agent: planner
    output: plan
    prompt: Plan.
  - name: build
    foreach: plan
    steps:
      - name: change
        agent: {agent}
        allow_no_change: true
        prompt: "{{item.name}}"
        gate: ["bash: true"]
"""
ONE = """\
name: one
steps:
  - name: change
    agent: idle
    allow_no_change: true
    prompt: Nothing.
    gate: ["bash: true"]
"""


def main() -> None:
    arguments = parse_arguments()
    if "small" in arguments.tree:
        measure_small(arguments)
    if "large" in arguments.tree:
        measure_large(arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", nargs="*", choices=["small", "large", []], default=["small", "large"])
    parser.add_argument("--items", type=int, default=50, help="plan items of a run")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--profile", help="command to put before the session, such as `py-spy record -o x.svg --`")
    return parser.parse_args()


def measure_small(arguments: argparse.Namespace) -> None:
    with workspace() as folder:
        project = Project.make(folder, items=arguments.items)
        add_workflows(project)
        if arguments.profile:
            project.pytest("--gump-workflow=idle", "spec.md", profile=arguments.profile.split())
        empty = project.path / "empty"
        empty.mkdir()
        rounds = range(arguments.repeat)
        bare = [project.pytest("empty", expect=5) for _ in rounds]
        one = [project.pytest("--gump-workflow=one", "spec.md") for _ in rounds]
        show("empty pytest session", 1000 * median(bare), "ms")
        show("whole run of one step, beyond that", 1000 * (median(one) - median(bare)), "ms", target=600)
        for agent in ("idle", "writer"):
            steps = [item_time(project, agent) for _ in rounds]
            limit = 25 if agent == "idle" else None
            show(f"one more plan item, 5 files, agent {agent!r}", 1000 * min(steps), "ms", target=limit)
        show("  git processes of one item of agent 'idle'", git_processes(project, "idle"), "", target=8)
        show("  git processes of one item of agent 'writer'", git_processes(project, "writer"), "", target=8)
        show("  floor: git add --all, write-tree", 1000 * floor(project, arguments.repeat * 3), "ms")


def measure_large(arguments: argparse.Namespace) -> None:
    with workspace() as folder:
        project = Project.make(folder, files=50_000, items=10)
        add_workflows(project)
        lowest = floor(project, arguments.repeat * 3)
        show("floor: git add --all, write-tree in 50,000 files", 1000 * lowest, "ms")
        for agent in ("idle", "writer"):
            steps = [item_time(project, agent) for _ in range(arguments.repeat)]
            show(f"one more plan item, 50,000 files, agent {agent!r}", 1000 * min(steps), "ms")
            limit = 60 if agent == "idle" else None
            show("  beyond the floor", 1000 * (min(steps) - lowest), "ms", target=limit)


def add_workflows(project: Project) -> None:
    project.workflow("one", ONE)
    for agent in ("idle", "writer"):
        project.workflow(agent, PLAN.format(agent=agent))


def item_time(project: Project, agent: str) -> float:
    """Median time from the start of an item's attempt to that of the next one."""
    project.pytest(f"--gump-workflow={agent}", "spec.md")
    return median([later - earlier for earlier, later in itertools.pairwise(starts(project.newest_run()))])


def starts(run: Path) -> list[float]:
    events = [json.loads(line) for line in (run / "ledger.ndjson").read_text().splitlines()]
    return [one["at"] for one in events if one["event"] == "attempt_started" and one["step"] != "plan"]


def git_processes(project: Project, agent: str) -> float:
    """Counted in a run of its own, by a `git` that keeps a log."""
    folder = project.path.parent / f"count-{agent}"
    folder.mkdir()
    shim, log = counting_git(folder)
    project.pytest(f"--gump-workflow={agent}", "spec.md", path=shim)
    items = len(starts(project.newest_run()))
    counts = Counter(verb_of(line.split()) for line in log.read_text(errors="replace").splitlines())
    each = ", ".join(f"{count // items} {verb}" for verb, count in counts.most_common() if count >= items)
    print(f"    git: {each}")
    return counts.total() / items


def verb_of(words: list[str]) -> str:
    """The git command among the arguments: after `-C DIR`, `-c KEY=VALUE` and `--options`."""
    place = 0
    while words[place].startswith("-"):
        place += 2 if words[place] in {"-C", "-c"} else 1
    return words[place]


def floor(project: Project, repeat: int) -> float:
    """What a snapshot costs at least: a file changes, git looks at all of them and writes the tree."""
    took = []
    for number in range(repeat):
        (project.path / "floor.txt").write_text(f"{number}\n")
        began = time.perf_counter()
        project.git("add", "--all")
        project.git("write-tree")
        took.append(time.perf_counter() - began)
    (project.path / "floor.txt").unlink()
    project.git("reset", "--quiet")
    return median(took)


if __name__ == "__main__":
    main()
