"""The validators of an attempt. They run one after the other when all other gates of the step have passed.

They are parts of the attempt: it is settled once, by the answers of all of them. Their steps have paths of their own
below the step (`impl--validate-arch-review::correctness`), and their own attempts and policies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.nodes import Group, Lane
from pytest_gump.gates.base import GateResult
from pytest_gump.order import Outcome
from pytest_gump.text import one_line
from pytest_gump.workflow.model import PERSON, validator_name
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.nodes import FailureCase, Leaf, Validation
    from pytest_gump.order import AttemptResult

SUMMARY_CHARS: Final = 300
APPROVAL: Final = "approval"
"""Name of a person's answer among those of the validators."""


def next_validator(leaf: Leaf, validation: Validation) -> int | None:
    """Return the position of the next validator; None if all have ended."""
    answers, steps = validation.answers, leaf.step.answering
    index = next((index for index in range(len(steps)) if index not in answers), None)
    has_passed = all(answer.status == "passed" for answer in answers.values())
    return None if index is not None and steps[index] is PERSON and not has_passed else index


def enter_validator(leaf: Leaf, validation: Validation, index: int) -> Group:
    """Create the group with the steps of a validator."""
    step = leaf.step.answering[index]
    path = StepPath((*leaf.path.names[:-1], f"{leaf.step.name}--{step.name}"), leaf.path.items)
    lane = Lane(validation.checked.commit)
    validation.running = Group(path, step, step.steps, "group", None, index, leaf.items, lane, owner=leaf)
    return validation.running


def add_answer(validator: Group, leaf: Leaf, validation: Validation, cases: list[FailureCase]) -> None:
    """Add the answer of a validator. `cases` are the failures that ended it; empty if it passed.

    Only reviews that did not pass are an answer. After other failures alone, there is none.
    """
    name = [*(gate.label for gate in leaf.step.validator_gates), APPROVAL][validator.index]
    verdicts = validation.verdicts
    refused = [case.path for case in cases if case.failure.outcome == Outcome.REVIEW_FAILED]
    if not cases:
        comment = [*verdicts.values()][-1].comment if verdicts else ""
        answer = GateResult(name, "passed", one_line(comment, SUMMARY_CHARS))
    elif refused:
        comment = "\n\n".join(verdicts[path].comment.strip() for path in refused if path in verdicts)
        answer = GateResult(name, "failed", one_line(comment, SUMMARY_CHARS), comment)
    else:
        validation.broken[validator.index] = cases
        why = one_line(f"{cases[0].path}: {cases[0].failure.reason or cases[0].failure.outcome}", SUMMARY_CHARS)
        answer = GateResult(name, "error", why)
    validation.answers[validator.index] = replace(answer, duration_s=validation.spent_s)
    validation.verdicts, validation.spent_s = {}, 0.0


def result_with_answers(validation: Validation) -> AttemptResult:
    """Return the result of the attempt with the answers of all validators."""
    answers = [answer for _, answer in sorted(validation.answers.items())]
    outcome, reasons = Outcome.PASSED, []
    if broken := [f"{_title(each)} gave no verdict: {each.summary}" for each in answers if each.status == "error"]:
        outcome, reasons = Outcome.GATE_ERROR, broken
    elif failed := [f"{_title(each)} did not pass: {each.summary}" for each in answers if each.status == "failed"]:
        outcome, reasons = Outcome.REVIEW_FAILED, failed
    result = validation.checked.result
    return replace(
        result, outcome=outcome, reason=one_line("; ".join(reasons), SUMMARY_CHARS), gates=(*result.gates, *answers)
    )


def _title(answer: GateResult) -> str:
    return answer.name if answer.name == APPROVAL else f"validator {validator_name(answer.name)}"
