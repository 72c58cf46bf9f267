"""Measure `gump report` and `gump status` over many runs. See README.md.

One real run of twelve steps is made; the others are copies of its ledger under other ids.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from scene import Project, median, run, show, workspace

if TYPE_CHECKING:
    from pathlib import Path

STEPS = "".join(
    f"  - name: step-{number}\n    agent: writer\n    prompt: Part {number}.\n    gate: ['bash: true']\n"
    for number in range(12)
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with workspace() as folder:
        project = Project.make(folder)
        project.workflow("twelve", f"name: twelve\nsteps:\n{STEPS}")
        project.pytest("--gump-workflow=twelve", "spec.md")
        copy_run(project.newest_run(), arguments.runs - 1)
        bare = [run([sys.executable, "-c", "pass"], cwd=project.path) for _ in range(arguments.repeat)]
        show("python that does nothing", 1000 * median(bare), "ms")
        for words, limit in COMMANDS:
            command = [sys.executable, "-m", "pytest_gump", *(word.format(n=arguments.runs) for word in words)]
            took = [run(command, cwd=project.path) for _ in range(arguments.repeat)]
            show(f"gump {' '.join(command[3:])}, {arguments.runs} runs", 1000 * median(took), "ms", target=limit)


COMMANDS = ((("status",), 200), (("report",), 1000), (("report", "--last", "{n}"), 1000))


def copy_run(original: Path, copies: int) -> None:
    """Other ids and times, no attempt folders: neither command looks into those."""
    header = json.loads((original / "run.json").read_text())
    ledger = (original / "ledger.ndjson").read_text()
    for number in range(copies):
        run_id = f"20260101-{number:06d}-twelve-{number:04x}"
        folder = original.with_name(run_id)
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({**header, "run_id": run_id}, indent=2))
        (folder / "ledger.ndjson").write_text(ledger.replace(original.name, run_id))


if __name__ == "__main__":
    main()
