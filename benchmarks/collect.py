"""Measure the collection of a thousand workflow files that are named on the command line. See README.md."""

from __future__ import annotations

import argparse

from scene import Project, median, show, workspace

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


if __name__ == "__main__":
    main()
