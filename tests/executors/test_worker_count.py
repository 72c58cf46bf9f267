"""The number of workers that a workflow can use."""

from __future__ import annotations

import pytest
from pytest_gump.executors.worker_count import useful_workers
from pytest_gump.workflow.problems import Problems
from pytest_gump.workflow.reading.yaml_nodes import read_yaml

STEP = "- {name: a, agent: claude-haiku, prompt: x}"
PAIR = "{name: pair, parallel: true, steps: [{name: a, agent: codex}, {name: b, agent: codex}]}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"name: w\nsteps:\n  {STEP}\n", 1),
        (f"name: w\nsteps:\n  - {PAIR}\n  - {PAIR}\n", 2),
        (f"name: w\nsteps:\n  - {{name: both, parallel: true, steps: [{PAIR}, {PAIR}]}}\n", 4),
        (f"name: w\nsteps:\n  - {{name: each, foreach: plan, parallel: true, steps: [{PAIR}]}}\n", 6),
        (f"name: w\nsteps:\n  - {{name: plan, type: split, parallel: true, each: [{PAIR}]}}\n", 6),
        (f"name: w\nsteps:\n  - {{name: each, foreach: plan, steps: [{PAIR}]}}\n", 2),
        ("name: w\nsteps:\n  - {name: odd, parallel: 'true', steps: [1, 2]}\n", 1),
        ("name: [w\n", 1),
    ],
)
def test_worker_count_is_the_number_of_steps_that_can_run_in_parallel(text: str, count: int) -> None:
    assert useful_workers(read_yaml(text, Problems("w.yaml")), most=6) == count
