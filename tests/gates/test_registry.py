from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.gates.registry import run_gates
from pytest_gump.system.git.changes import ChangedFile
from pytest_gump.workflow.model import GateSpec

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path


def test_all_gates_run_in_order_even_after_a_failure(tmp_path: Path) -> None:
    context = gate_context(
        tmp_path, commands={"compile": "true", "test": "false"}, changed=[ChangedFile("a.py", "added", 1, 0)]
    )
    specs = [GateSpec("compile"), GateSpec("test"), GateSpec("lint"), GateSpec("bash", "exit 0")]
    results = run_gates([*specs, GateSpec("untouched", "*.py")], context)
    assert [(result.name, result.status) for result in results] == [
        ("compile", "passed"),
        ("test", "failed"),
        ("lint", "skipped"),
        ("bash: exit 0", "passed"),
        ("untouched: *.py", "failed"),
    ]


def test_every_result_has_a_duration(tmp_path: Path) -> None:
    results = run_gates([GateSpec("touched", "x"), GateSpec("bash", "true")], gate_context(tmp_path))
    assert all(result.duration_s > 0 for result in results)


def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    (result,) = run_gates([GateSpec("no_todo")], gate_context(tmp_path))
    assert (result.status, result.summary) == ("error", "unknown gate 'no_todo'")
