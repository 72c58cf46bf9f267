from __future__ import annotations

from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system import plain_data
from pytest_gump.workflow.model import GateSpec, ValidatorOptions
from pytest_gump.workflow.reading.read_gates import BUILTIN_GATES


def test_loader_and_registry_know_the_same_gates() -> None:
    assert set(BUILTIN) == set(BUILTIN_GATES)


def test_the_label_of_a_gate_shows_what_differs_from_the_defaults() -> None:
    assert GateSpec("test").label == "test"
    assert GateSpec("bash", "make check").label == "bash: make check"
    assert GateSpec("validate", "arch-review", ValidatorOptions()).label == "validate: arch-review"
    options = ValidatorOptions((("focus", "errors"), ("change", "{diff}")), independent=True)
    label = "validate: arch-review (focus: errors, change: {diff}, independent)"
    assert GateSpec("validate", "arch-review", options).label == label


def test_a_gate_with_options_survives_a_message() -> None:
    gate = GateSpec("validate", "arch-review", ValidatorOptions((("focus", "errors"),), independent=True))
    assert plain_data.load(GateSpec, plain_data.dump(gate)) == gate
    assert plain_data.load(GateSpec, {"name": "test", "argument": None}) == GateSpec("test")
