"""Approvals of a run in progress: which attempts need one, and what an answer does to the result.

An attempt with an open question has ended, but is undecided: it is neither passed nor failed, and holds no worktree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.attempt.judge import REASON_CHARS
from pytest_gump.engine.record.approvals import Question
from pytest_gump.engine.run.fingerprint import hashed
from pytest_gump.gates.base import Verdict
from pytest_gump.order import AttemptResult, Outcome, Timings
from pytest_gump.system.plain_data import dump
from pytest_gump.text import one_line
from pytest_gump.workflow.model import Approval

if TYPE_CHECKING:
    from typing import Any

    from pytest_gump.engine.record.approvals import Answer
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import Order
    from pytest_gump.system.git.repository import Repository

EXPIRED: Final = "expired"
_ASKED: Final = frozenset({"step", "gate", "replan-check"})
"""Roles of attempts after which a person is asked. The other parts of a replan are not asked about."""


def question_about(
    ready: Ready, order: Order, result: AttemptResult, repository: Repository, *, number: int, now: float
) -> Question | None:
    """Return the question to a person about an attempt that has ended; None if no approval is needed.

    `number` is the number of the attempt in the run.
    """
    if not result.passed or ready.role not in _ASKED or not _is_asked(ready, result):
        return None
    approve = ready.step.approve
    parts = result if approve is None or ready.checks is None else ready.checks.result
    tree = result.tree or repository.tree_of(order.base)
    handed = hashed([dump(part) for part in (parts.plan, parts.verdict, parts.artifact) if part is not None])
    expires = approve.expires if approve is not None else None
    return Question(
        number=number,
        step=order.step,
        base=_start_of(ready, order),
        commit=result.snapshot or order.base,
        subject=f"{tree}:{handed}" if handed else tree,
        since=now,
        expires=None if expires is None else now + expires,
        show=(approve or Approval()).show,
    )


def _start_of(ready: Ready, order: Order) -> str:
    """Return the commit at the start of the change to approve: of the step or group, or of the run."""
    about = ready if ready.checks is None else ready.checks.ready
    is_of_group = about.role == "gate"
    return order.run_base if about.mode in {"gate", "approve"} and not is_of_group else about.step_base


def _is_asked(ready: Ready, result: AttemptResult) -> bool:
    step = ready.step
    if step.approve is not None:
        return True
    if step.validators and not result.gates_due:
        return False  # the approval is a part of its own, after the validators
    is_whole = not result.gates_due
    return step.hitl == ("after_gate" if is_whole else "before_gate") or (step.hitl is not None and not step.gate)


def reviewed(
    record: RunRecord, ready: Ready, order: Order, result: AttemptResult, *, repository: Repository, now: float
) -> tuple[Question | None, AttemptResult, dict[str, Any]]:
    """Return an open question about an attempt that has ended; otherwise None, with the result after the answer.

    The third value has the fields of the event `decided` with the answer. The time for an answer counts from the first
    session in which the attempt waited.
    """
    parts = record.steps[order.step].attempts
    number = next(part.number for part in reversed(parts) if part.attempt == order.attempt)
    question = question_about(ready, order, result, repository, number=number, now=now)
    if question is None:
        return None, result, {}
    asked = record.approvals.questions.get(question.number, question)
    question = question._replace(since=asked.since, expires=asked.expires)
    answer = record.approvals.answer_to(question)
    if answer is not None and answer.approved:
        return None, result, {"approval": {"by": answer.by, "at": answer.at}}
    if answer is None and (question.expires is None or now < question.expires):
        return question, result, {}
    after = rejected(result, answer)
    return None, after, {"review": {name: dump(getattr(after, name)) for name in ("outcome", "reason", "verdict")}}


def rejected(result: AttemptResult, answer: Answer | None) -> AttemptResult:
    """Return the result of a rejected attempt: a review that did not pass, with the person's text.

    `answer` is None if the time for an answer is over.
    """
    text = EXPIRED if answer is None else answer.text.strip()
    reason = f"no approval in time: {text}" if answer is None else f"rejected by {answer.by}: {text}"
    verdict = Verdict(passed=False, comment=text)
    return replace(result, outcome=Outcome.REVIEW_FAILED, reason=one_line(reason, REASON_CHARS), verdict=verdict)


def nothing_to_do(order: Order, repository: Repository, now: float) -> AttemptResult:
    """Return the result of an approval step before a person has answered: its tree is the one to approve."""
    timings = Timings(now, 0.0)
    tree = repository.tree_of(order.base)
    return AttemptResult(order.step, order.attempt, Outcome.PASSED, "", None, timings, tree=tree, made=order.made)
