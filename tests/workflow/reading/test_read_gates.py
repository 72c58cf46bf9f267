from __future__ import annotations

from pytest_gump.gates.registry import BUILTIN
from pytest_gump.workflow.reading.read_gates import BUILTIN_GATES


def test_loader_and_registry_know_the_same_gates() -> None:
    assert set(BUILTIN) == set(BUILTIN_GATES)
