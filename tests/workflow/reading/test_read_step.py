"""Steps of workflow files: their keys, by kind of step."""

from __future__ import annotations

from pytest_gump.workflow import keys
from pytest_gump.workflow.reading.read_step import TAKEN


def test_each_key_of_a_step_belongs_to_some_kind_of_step() -> None:
    assert set(keys.keys(keys.StepKeys)) - set().union(*TAKEN.values()) == set()
