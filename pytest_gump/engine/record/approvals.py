"""The approvals of a run: what waits for a person, and what persons have answered. Computed from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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


class Given(NamedTuple):
    """What a person says about an attempt."""

    approved: bool
    by: str
    text: str = ""
    waited_s: float = 0.0
    """Seconds of the session in which nothing else could run."""

    def about(self, question: Question) -> dict[str, Any]:
        """Return the fields of the ledger event `approval`."""
        about = {name: getattr(question, name) for name in ("number", "step", "commit", "subject")}
        return {**about, **self._asdict()}


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
        names = ("number", "step", "commit", "subject", "approved", "text", "by", "at")
        answer = Answer(**{name: event[name] for name in names})
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


def with_review(wire: Event, decided: Event | None) -> Event:
    """Return the result of an attempt as the decision about it has changed it: a rejection makes it a failure."""
    review = None if decided is None else decided.get("review")
    return {**wire, **review} if review else wire
