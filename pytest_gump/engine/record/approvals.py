"""The approvals of a run, computed from the ledger: the attempts that wait for a person, and the answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_gump.text import clean_text, one_line
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.engine.record.ledger import Event


class Question(NamedTuple):
    """An attempt that has ended and waits for a person."""

    number: int
    """Number of the attempt in the run."""
    step: str
    base: str
    """Commit at the start of the change to approve."""
    commit: str
    """Commit with the files to approve."""
    subject: str
    """What an approval applies to: the tree of the files, and the hash of a plan, verdict or text."""
    since: float
    """Seconds since the epoch, like `expires` and `Answer.at`."""
    expires: float | None
    """When a missing answer becomes a rejection."""
    show: tuple[str, ...]
    """What a person sees: diff, cost, changed_config."""

    @property
    def until(self) -> str:
        """` until Dec 02, 15:30`, the local time until which an answer counts; empty without a limit."""
        return "" if self.expires is None else time.strftime(" until %b %d, %H:%M", time.localtime(self.expires))

    @property
    def about(self) -> str:
        """The step whose work the person approves. `step` is the approval after its validators, if it has any."""
        return str(StepPath.parse(self.step).checked or self.step)


class Answer(NamedTuple):
    number: int
    step: str
    commit: str
    subject: str
    approved: bool
    text: str
    """Why it was rejected."""
    by: str
    at: float

    @property
    def summary(self) -> str:
        return f"{'approved' if self.approved else 'rejected'} by {self.by}"


class Given(NamedTuple):
    """What a person says about an attempt."""

    approved: bool
    by: str
    text: str = ""

    def about(self, question: Question) -> dict[str, Any]:
        """Return the fields of the ledger event `approval`."""
        about = {name: getattr(question, name) for name in ("number", "step", "commit", "subject")}
        return {**about, "approved": self.approved, "by": one_line(self.by), "text": clean_text(self.text).strip()}


class Approvals:
    def __init__(self) -> None:
        self.questions: dict[int, Question] = {}
        """By the number of the attempt in the run."""
        self.answers: list[Answer] = []

    def ask(self, event: Event) -> None:
        names = ("number", "step", "base", "commit", "subject", "since", "expires")
        question = Question(**{name: event[name] for name in names}, show=tuple(event["show"]))
        self.questions[question.number] = question

    def answer(self, event: Event) -> Answer:
        names = ("number", "step", "commit", "subject", "approved", "text", "by")
        answer = Answer(**{name: event[name] for name in names}, at=answered_at(event))
        self.answers.append(answer)
        return answer

    def answer_to(self, question: Question) -> Answer | None:
        """Return the answer that applies: the newest one for the same step and subject.

        An approval applies to every later attempt with the same subject, a rejection only to the attempt itself.
        """
        same = (
            answer
            for answer in reversed(self.answers)
            if (answer.step, answer.subject) == (question.step, question.subject)
        )
        newest = next(same, None)
        return newest if newest is None or newest.approved or newest.number == question.number else None


def answered_at(approval: Event) -> float:
    """Return when the person answered. The approval may come from the run whose results this one reuses."""
    return float(approval["answered"] if "answered" in approval else approval["at"])


def with_review(wire: Event, decided: Event | None) -> Event:
    """Return the result of an attempt as the decision about it has changed it: a rejection makes it a failure."""
    review = None if decided is None else decided.get("review")
    return {**wire, **review} if review else wire
