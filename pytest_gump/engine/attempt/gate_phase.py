"""Run the gates of one attempt on the files of its snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.engine.checks.collected import hold_untouched_tests
from pytest_gump.engine.checks.command_end import why_no_exit
from pytest_gump.gates.base import CommandOutcome, GateContext
from pytest_gump.gates.registry import run_gates
from pytest_gump.gates.tools.caches import cache_environment
from pytest_gump.gates.tools.detect import TEST_PATTERNS
from pytest_gump.gates.view import Diff, StepView
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.output import bounded_output
from pytest_gump.system.processes.process import Request
from pytest_gump.workflow.path import slugify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.attempt.workplace import Workplace
    from pytest_gump.gates.base import GateResult, Payload
    from pytest_gump.order import Mode, Order
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.workflow.model import OutputMode

OUTPUT_CHARS = 40_000
"""Characters of a gate's output kept in memory, for its summary and for the prompt of a retry."""

CACHES = "caches"
"""Folder of the gates' build caches, in the run's scratch folder."""
RECORD_BYTES = 256 * 1024 * 1024
"""Limit of a gate's test records; longer records are invalid."""


class GateInput(NamedTuple):
    """The input of the gates."""

    changed: Sequence[ChangedFile]
    diff: Path | None
    """Patch since the step began; None if no gate needs it."""
    payload: Payload = None


def run_step_gates(order: Order, tools: Tools, workplace: Workplace, given: GateInput) -> tuple[GateResult, ...]:
    settings = tools.settings
    passed = child_environment(settings.gate_env, workplace.environment)
    caches = tools.slots.root / f"{order.run_id}.scratch" / CACHES
    environment = cache_environment(caches, order.slot, passed.get("HOME")) | passed
    base = order.run_base if order.mode == "gate" else order.step_base
    view = StepView(
        name=order.step,
        attempt=order.attempt,
        worktree=workplace.worktree,
        changed=given.changed,
        diff=Diff(file=given.diff),
        item=order.item,
        output=given.payload,
    )
    context = GateContext(
        worktree=workplace.worktree,
        changed=given.changed,
        run=CommandRunner(tools, workplace, environment, settings.gate_timeout_s),
        commands=dict(order.commands),
        mode=_gate_mode(order.mode),
        payload=given.payload,
        read_base=lambda path: tools.repository.read_file(base, path),
        custom=tools.gates,
        step=view,
        timeout_s=settings.gate_timeout_s,
        test_patterns=(*TEST_PATTERNS, *settings.test_files),
        output_chars=settings.error_chars,
        environment=environment,
    )
    gates = run_gates(order.gates, context, on_start=lambda name: tools.listen(GateStarted(name)))
    return hold_untouched_tests(gates, order.known_tests)


def _gate_mode(mode: Mode) -> OutputMode | Literal["gate"]:
    return "gate" if mode == "merge" or mode == "approve" else mode  # noqa: PLR1714 - for mypy


@dataclass(slots=True)
class CommandRunner:
    """Runs the shell commands of gates and setup.

    Writes each complete output to `gates/<n>-<name>.txt`, with the test records next to it.
    """

    tools: Tools
    workplace: Workplace
    environment: Mapping[str, str]
    timeout_s: float
    started: int = 0

    def __call__(
        self, command: str, *, label: str, env: Mapping[str, str] | None = None, with_records: bool = False
    ) -> CommandOutcome:
        self.started += 1
        folder = self.workplace.subfolder("gates")
        name = f"{self.started}-{slugify(label, self.started)}.txt"
        records = (folder / name).with_suffix(".records.ndjson") if with_records else None
        request = Request(
            argv=(),
            shell=command,
            cwd=self.workplace.worktree,
            folder=self.workplace.enter(),
            env={**self.environment, **(env or {})},
            mark=self.workplace.mark,
            stdout=folder / name,
            records=records,
            max_bytes=self.tools.settings.stream_bytes,
        )
        finished = self.tools.supervisor.run(
            request,
            timeout_s=self.timeout_s,
            grace_s=self.tools.settings.stop_grace_s,
            on_tick=lambda: self.tools.listen(None),
        )
        error = why_no_exit(finished, self.timeout_s, self.tools.settings)
        return CommandOutcome(
            exit_code=finished.exit_code if error is None else None,
            output=bounded_output(folder / name, OUTPUT_CHARS),
            output_file=name,
            duration_s=finished.duration_s,
            error=error,
            records=None if records is None else _start_of(records, RECORD_BYTES),
        )


def _start_of(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
