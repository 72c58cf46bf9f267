"""Measure what one more plan item costs, against the floor that git sets. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_gump.agents import neutral
from pytest_gump.agents.cassette import write_take

WORKFLOW = """\
name: overhead
steps:
  - name: plan
    agent: claude-haiku
    output: plan
    prompt: Plan.
  - name: build
    foreach: plan
    steps:
      - name: change
        agent: claude-haiku
        prompt: "{item.name}"
"""


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), arguments.files)
        floor_s = statistics.median(measure_floor(project, number) for number in range(arguments.repeat))
        short_s, long_s = (
            min(measure_run(project, count) for _ in range(arguments.repeat))
            for count in (arguments.short, arguments.long)
        )
    item_s = (long_s - short_s) / (arguments.long - arguments.short)
    print(f"files in the tree                 {arguments.files:8}")
    print(f"run of {arguments.short:3} items                  {short_s * 1000:8.0f} ms")
    print(f"run of {arguments.long:3} items                  {long_s * 1000:8.0f} ms")
    print(f"one more item                     {item_s * 1000:8.1f} ms")
    print(f"floor: git add and write-tree     {floor_s * 1000:8.1f} ms")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="files in the tree")
    parser.add_argument("--short", type=int, default=5, help="items of the short plan")
    parser.add_argument("--long", type=int, default=25, help="items of the long plan")
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def git(project: Path, *words: str) -> None:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=project, check=True, stdout=subprocess.DEVNULL)


def make_project(folder: Path, files: int) -> Path:
    project = folder / "project"
    for number in range(files):
        path = project / f"d{number % 20:02d}" / f"f{number:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 20)
    (project / ".gump" / "workflows").mkdir(parents=True)
    (project / ".gump" / "workflows" / "overhead.yaml").write_text(WORKFLOW)
    (project / "spec.md").write_text("# Overhead\n")
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "base")
    return project


def measure_floor(project: Path, number: int) -> float:
    changed = project / f"floor-{number}.txt"
    changed.write_text("x\n")
    began = time.perf_counter()
    git(project, "add", "--all")
    git(project, "write-tree")
    took = time.perf_counter() - began
    git(project, "reset", "--quiet", "--hard")
    return took


def measure_run(project: Path, items: int) -> float:
    cassette = project.parent / f"cassette-{items}"
    if not cassette.exists():
        record(cassette, items)
    environment = os.environ | {"XDG_CACHE_HOME": str(project.parent / "cache")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--gump-workflow=overhead", "spec.md"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, f"--gump-replay={cassette}"],
        cwd=project,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(done.stdout.decode())
    return took


def record(cassette: Path, items: int) -> None:
    names = [f"item-{number}" for number in range(1, items + 1)]
    plan = json.dumps([{"name": name, "description": name} for name in names])
    write_take(cassette, step="plan", stream=neutral.conversation("Planned."), out={"plan.json": plan})
    for name in names:
        stream = neutral.conversation("Done.", writes=[f"{name}.txt"])
        write_take(cassette, step="build::change", item=name, stream=stream, files={f"{name}.txt": f"{name}\n"})


if __name__ == "__main__":
    main()
