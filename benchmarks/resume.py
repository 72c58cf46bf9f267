"""Measure what it costs to take a run up: all of its steps reused but the last. See README.md."""

from __future__ import annotations

import argparse
import time

from scene import Project, median, show, workspace

WORKFLOW = """\
name: again
steps:
  - {{name: plan, agent: planner, output: plan, prompt: Plan.}}
  - name: build
    foreach: plan
    steps:
      - {{name: change, agent: writer, prompt: "{{item.name}}"}}
  - {{name: last, gate: ["bash: test -e {flag}"]}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    one = measure(1, repeat)
    many = measure(1000, repeat)
    show("a run of 3 steps taken up, whole session", one, "ms")
    show("a run of 1,002 steps taken up, whole session", many, "ms")
    show("one more step reused", (many - one) / 999, "ms", target=3.0)


def measure(items: int, repeat: int) -> float:
    with workspace() as folder:
        project = Project.make(folder, items=items)
        flag = folder / "flag"
        project.workflow("again", WORKFLOW.format(flag=flag))
        took = []
        project.pytest("--gump-workflow=again", "--gump-no-preflight", "-o", "gump_max_items=1000", "spec.md", expect=1)
        for number in range(repeat):
            if number == repeat - 1:
                flag.touch()
            began = time.perf_counter()
            project.pytest("--gump-resume", "--gump-no-preflight", expect=0 if flag.exists() else 1)
            took.append(time.perf_counter() - began)
        return 1000 * median(took)


if __name__ == "__main__":
    main()
