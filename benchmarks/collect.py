"""Measure the collection of a thousand workflow files that are named on the command line. See README.md.

Next to it its floor: what PyYAML's parser needs for these files, and pytest for as many nodes that do nothing. Where a
project has no settings for pytest, pytest looks for them above every file that is named.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import yaml
from scene import Project, median, show, workspace

if TYPE_CHECKING:
    from pathlib import Path

NODES = """\
import pytest

class Workflow(pytest.File):
    def collect(self):
        for number in range({steps}):
            yield Step.from_parent(self, name=f"step-{{number}}")

class Step(pytest.Item):
    def runtest(self): ...

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".yaml":
        return Workflow.from_parent(parent, path=file_path)
"""

STEP = """\
  - name: step-{number}
    agent: claude-haiku
    output: diff
    prompt: |
      Part {number} of {{spec}}.
      {{error}}
    guard: {{ max_turns: 40, max_budget: 0.5 }}
    gate: [compile, test]
    on_failure: {{ retry: 2, strategy: [same, "escalate: claude-sonnet"] }}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with workspace() as folder:
        project = Project.make(folder)
        (project.path / "empty").mkdir()
        steps = "".join(STEP.format(number=number) for number in range(arguments.steps))
        names = [f"w{number:04d}.yaml" for number in range(arguments.files)]
        for name in names:
            (project.path / name).write_text(f"name: {name[:-5]}\nsteps:\n{steps}")
        bare = median([project.pytest("--collect-only", "empty", expect=5) for _ in range(arguments.repeat)])
        words = ("--collect-only", "-qq", "--gump-spec=spec.md", *names)
        took = [project.pytest(*words) for _ in range(arguments.repeat)]
        show("empty pytest session", 1000 * bare, "ms")
        show(
            f"--collect-only, {arguments.files} files of {arguments.steps} steps",
            1000 * median(took),
            "ms",
            target=3000,
        )
        show("  floor: PyYAML's events of these files", 1000 * events([project.path / name for name in names]), "ms")
        (project.path / "pytest.ini").write_text("[pytest]\n")
        took = [project.pytest(*words) for _ in range(arguments.repeat)]
        show("  the same in a project with settings for pytest", 1000 * median(took), "ms")
        (project.path / "conftest.py").write_text(NODES.format(steps=arguments.steps))
        nodes = [project.pytest("--collect-only", "-qq", ".") for _ in range(arguments.repeat)]
        show("  floor: pytest with as many nodes, a folder named", 1000 * median(nodes), "ms")


def events(paths: list[Path]) -> float:
    texts = [path.read_text() for path in paths]
    began = time.perf_counter()
    for text in texts:
        for _ in yaml.parse(text, Loader=yaml.CSafeLoader):
            pass
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
