"""Read the output of an agent: a plan, verdict or artifact, from its file or else from the final message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.engine.checks.no_change import read_reason
from pytest_gump.errors import WorktreeError
from pytest_gump.system.worktrees.folder import HANDOVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.gates.base import Payload
    from pytest_gump.order import AttemptResult, Mode, PlanItem, Verdict

FORMER_VERDICT: Final = "validate.json"
"""The verdict's file in the original Gump; read if the other one is missing."""
HANDOVER_FILES: Final[Mapping[Mode, str]] = {"plan": "plan.json", "artifact": "artifact.txt", "review": "review.json"}


class Handover(NamedTuple):
    """The output of a step. In a mode with an output file, one of plan, verdict, artifact and `errors` is set."""

    plan: tuple[PlanItem, ...] | None = None
    verdict: Verdict | None = None
    artifact: str | None = None
    errors: tuple[str, ...] = ()
    """What is wrong with the file, as sentences for the agent."""
    notes: tuple[str, ...] = ()
    no_change: str = ""
    """Why no file had to change; only for a step with `output: diff`."""

    @property
    def payload(self) -> Payload:
        if self.plan is not None:
            return self.plan
        return self.verdict if self.verdict is not None else self.artifact


def handed_over(result: AttemptResult) -> Handover:
    """Return the output that an earlier part of the attempt has read."""
    return Handover(result.plan, result.verdict, result.artifact, no_change=result.no_change)


def read_handover(
    read: Callable[[str], bytes | None], mode: Mode, *, message: str, max_items: int, min_items: int = 1
) -> Handover:
    """Read and check the output file of the mode.

    `read` returns the content of a file in the output folder, or None if it is missing. It raises WorktreeError if the
    file is not a plain file or is too large. If the plan or verdict file is missing, it is read from a block fenced as
    json in the final message.
    """
    name = HANDOVER_FILES.get(mode)
    if name is None:
        reason, problems = read_reason(read)
        return Handover(no_change=reason, notes=problems)
    try:
        content = read(name)
        if content is None and mode == "review":
            content = read(FORMER_VERDICT)
    except WorktreeError as error:
        return Handover(errors=(str(error.args[0]),))
    notes: tuple[str, ...] = ()
    if content is None and mode != "artifact":
        from pytest_gump.gates.json_input import fenced_json

        content = fenced_json(message)
        notes = (f"{name} was missing: taken from the final message",)
    if content is None:
        return Handover(errors=(_missing(name, mode),))
    return _parse(content, mode, range(min_items, max_items + 1), notes)


def _missing(name: str, mode: Mode) -> str:
    also = "" if mode == "artifact" else ", and the final message holds no block fenced as json"
    return f"no {HANDOVER}/{name} was written{also}"


def _parse(content: bytes, mode: Mode, items: range, notes: tuple[str, ...]) -> Handover:
    """Check the content. `items` are the allowed numbers of items of a plan."""
    if mode == "artifact":
        return _artifact(content)
    from pytest_gump.gates.schema import parse_plan, parse_verdict  # most steps deliver neither

    if mode == "plan":
        plan = parse_plan(content, max_items=items.stop - 1, min_items=items.start)
        if plan.value is None:
            return Handover(errors=plan.errors, notes=notes)
        return Handover(plan=plan.value, notes=notes)
    verdict = parse_verdict(content)
    if verdict.value is None:
        return Handover(errors=verdict.errors, notes=notes)
    return Handover(verdict=verdict.value, notes=notes)


def _artifact(content: bytes) -> Handover:
    try:
        return Handover(artifact=content.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Handover(errors=(f"artifact.txt is not UTF-8 text (byte {error.start})",))
