"""Describe failed attempts for the prompt of the next one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_gump.agents.streams.refusals import SETTING
from pytest_gump.order import Outcome
from pytest_gump.system.secrets import MASKED_NOTE
from pytest_gump.text import bounded_text
from pytest_gump.units import plural
from pytest_gump.workflow.model import validator_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult


def describe_failures(failed: Sequence[AttemptResult], *, error_chars: int) -> str:
    """Describe the newest failure in full, and each earlier one in one line."""
    *earlier, newest = failed
    parts = [f"- {_name(result)}: {result.reason or result.outcome}" for result in earlier]
    history = ["Earlier:\n" + "\n".join(parts)] if parts else []
    return "\n\n".join(
        [f"{_name(newest)} did not pass: {newest.reason or newest.outcome}", *history, *_details(newest, error_chars)]
    )


def fenced(text: str, language: str = "") -> str:
    """Return the text as a code block whose fence is longer than any fence in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _name(result: AttemptResult) -> str:
    by = f" by {result.agent}" if result.agent else ""
    return f"Attempt {result.attempt} of `{result.step}`{by}"


def _details(result: AttemptResult, error_chars: int) -> list[str]:
    details = []
    if result.guard is not None:
        details.append(f"The guard `{result.guard}` stopped the agent. Stay within this limit.")
    if result.outcome is Outcome.NO_CHANGE:
        details.append("Change the files, or give the reason why nothing has to change as described below.")
    if result.verdict is not None and not result.verdict.passed:
        details.append("### The reviewer's comment\n\n" + result.verdict.comment.strip())
    details += _gates([gate for gate in result.gates if gate.status in {"failed", "error"}], error_chars)
    # A replayed attempt has no secrets left to mask. Its note must not change the next prompt.
    notes = (note for note in result.notes if not note.startswith(MASKED_NOTE))
    # The settings are the user's, and an agent that changes them fails.
    noted = "\n".join(f"- {note.replace(f' ({SETTING})', '')}" for note in notes)
    return [*details, bounded_text(f"Also noted:\n{noted}", error_chars)] if noted else details


def _gates(failing: list[GateResult], error_chars: int) -> list[str]:
    shares = _shares([len(gate.output) for gate in failing], error_chars)
    seen: dict[str, str] = {}
    parts = []
    for gate, share in zip(failing, shares, strict=True):
        lines = [_heading(gate)]
        if gate.command:
            ended = "" if gate.exit_code is None else f" (exit code {gate.exit_code})"
            lines.append(f"Command: `{gate.command}`{ended}")
        output = gate.output.strip("\n")
        if output.strip() and output in seen:
            lines.append(f"The same output as of gate `{seen[output]}`.")
        elif output.strip():
            seen[output] = gate.name
            lines.append(fenced(bounded_text(output, max(share, 1))))
        parts.append("\n\n".join(lines))
    if len(failing) > 1:
        parts.insert(0, f"{plural(len(failing), 'gate')} failed.")
    return parts


def _heading(gate: GateResult) -> str:
    """Return the heading of a gate's output. That of a validator is its comment, and its inputs may be templates."""
    validator = validator_name(gate.name)
    if validator is not None and gate.output:
        return f"### Comment of `{validator}`"
    return f"### Gate `{gate.name}`: {gate.summary or gate.status}"


def _shares(sizes: list[int], total: int) -> list[int]:
    """Divide the characters equally; the unused part of a short output goes to the longer ones."""
    shares = [0] * len(sizes)
    for done, position in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[position] = min(sizes[position], (total - sum(shares)) // (len(sizes) - done))
    return shares
