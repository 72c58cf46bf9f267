from __future__ import annotations

import pytest
from pytest_gump.workflow.dialect import dialect_of
from pytest_gump.workflow.problems import Problems
from pytest_gump.workflow.reading.yaml_nodes import read_yaml


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("[{name: a, gate: [test]}]", "present"),
        ("[{name: a, agent: x, prompt: y, guard: {max_time: 5m}}]", "present"),
        ("[{name: a, workflow: b, with: {type: c, each: d}}]", "present"),
        ("[{name: a, agent: x, retry: 3}]", "present"),
        ("[{name: a, type: code}]", "former"),
        ("[{name: a, agent: x, retry: [{exit: 3}]}]", "former"),
        ("[{name: a, parallel: true, steps: [{name: b, run: {agent: x}}]}]", "former"),
        ("[{name: a, type: split, each: [{name: b, agent: x, output: diff}]}]", "mixed"),
        ("[{name: a, foreach: b, steps: [{name: c, get: {prompt: x}}]}]", "mixed"),
        ("text", "present"),
    ],
)
def test_the_keys_of_a_file_show_its_language(steps: str, expected: str) -> None:
    problems = Problems("flow.yaml")
    root = read_yaml(f"name: flow\nsteps: {steps}\n", problems)
    assert root is not None
    assert dialect_of(root, problems) == expected
    assert len(problems.found) == (expected == "mixed")


def test_a_list_is_no_file_of_gump_0_0_4() -> None:
    problems = Problems("flow.yaml")
    root = read_yaml("- type: code\n", problems)
    assert root is not None
    assert dialect_of(root, problems) == "present"
