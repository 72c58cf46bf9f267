"""`gump doctor`: run the gate commands of a workflow on HEAD in a temporary worktree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.agents import registry
from pytest_gump.cli.doctor.checks import Check, temporary_slot
from pytest_gump.engine.attempt.attempt import execute
from pytest_gump.engine.attempt.tools import Tools
from pytest_gump.engine.attempt.workplace import remove_scratch, run_scratch
from pytest_gump.engine.run.order_builder import RunInputs
from pytest_gump.engine.run.preflight import preflight_order
from pytest_gump.errors import WorktreeError
from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.cli.effective import Names
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.processes.process import Supervisor
    from pytest_gump.workflow.model import Workflow

_NO_TESTS: Final = 5
"""Exit code of pytest if no tests are collected."""
_SETUP: Final = "set gump_setup in the ini file, or setup in the workflow, to prepare each worktree"


def try_gates(workflow: Workflow, root: Path, names: Names, supervisor: Supervisor) -> Iterator[Check]:
    """Set up a worktree and run the gates in it, like the preflight of a run."""
    try:
        repository = Repository.open(root)
        base = repository.head()
        commands = gate_commands(repository, base, names.settings, start_folder(repository.root, Path.cwd()))
    except WorktreeError:
        return  # reported by the check of the repository
    slots = Slots.default_root(repository, names.settings.worktrees)
    with temporary_slot(repository, slots) as slot:
        inputs = RunInputs(slot.name, workflow, {}, "", b"", base, tuple(commands.items()), names.settings, str, {})
        order = preflight_order(inputs, lambda: slot.name)
        if order is None:
            return
        try:
            result = _run(order, repository, slots, names, supervisor)
        except (WorktreeError, OSError) as error:
            yield Check("gates", "failed", f"cannot create a worktree: {error.args[-1]}")
            return
    yield from _checks(order, result)


def _run(order: Order, repository: Repository, slots: Path, names: Names, supervisor: Supervisor) -> AttemptResult:
    tools = Tools(
        repository=repository,
        slots=Slots(repository, slots, keep=names.settings.keep_ignored),
        supervisor=supervisor,
        agents=lambda name: registry.resolve(name, names.agents),
        gates={},
        settings=names.settings,
        scratch=slots / f"{order.run_id}.scratch",
    )
    run_scratch(tools)
    try:
        return execute(order, tools)
    finally:
        remove_scratch(tools)


def _checks(order: Order, result: AttemptResult) -> Iterator[Check]:
    if not result.gates and not result.passed:
        yield Check("setup", "failed", result.reason, _SETUP)
    elif order.setup:
        yield Check("setup", "ok", "; ".join(order.setup))
    for gate in result.gates:
        yield _check(gate)
    for note in result.notes:
        yield Check("worktree", "note", note)


def _check(gate: GateResult) -> Check:
    name, command = f"gate {gate.name}", gate.command or ""
    value = f"{command}: {gate.summary}" if command and gate.summary else command or gate.summary
    shown = f"command: {command}" if command else ""
    if gate.exit_code == _NO_TESTS or (gate.tests is not None and not gate.tests.get("collected")):
        summary = gate.summary if gate.summary.startswith("no test") else f"no tests: {gate.summary}"
        return Check(name, "note", summary, shown)
    if gate.status == "passed":
        return Check(name, "ok", value)
    if gate.status == "skipped":
        return Check(name, "note", f"skipped: {gate.summary}", shown)
    if gate.status == "failed":
        return Check(name, "note", f"runs, but fails on HEAD: {gate.summary}", shown)
    has_hint = "command not found" in gate.summary or "not installed" in gate.summary
    return Check(name, "failed", gate.summary, f"{shown}; {_SETUP}" if has_hint and shown else shown)
