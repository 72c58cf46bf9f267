from __future__ import annotations

from typing import Any

import pytest
from pytest_gump.engine.record.approvals import Approvals, Given, Question, with_review

QUESTION = Question(
    number=2, step="impl", base="base", commit="commit", subject="tree", since=1.0, expires=None, show=("diff", "cost")
)


@pytest.mark.parametrize(("more", "at"), [({}, 9.0), ({"answered": 4.0}, 4.0)])
def test_questions_and_answers_are_read_from_the_ledger(more: dict[str, Any], at: float) -> None:
    approvals = Approvals()
    approvals.ask({"event": "awaiting", "at": 3.0, **QUESTION._asdict(), "show": ["diff", "cost"]})
    assert approvals.questions == {2: QUESTION}
    given = Given(approved=True, by=" Ada\nL. ", text=" Fine.\x1b[31m ").about(QUESTION)
    answer = approvals.answer({"event": "approval", "at": 9.0, **given, **more})
    assert answer._asdict() == {
        "number": 2, "step": "impl", "commit": "commit", "subject": "tree", "approved": True, "text": "Fine.",
        "by": "Ada L.", "at": at,
    }  # fmt: skip
    assert approvals.answer_to(QUESTION) == answer


def test_a_rejection_changes_the_recorded_result() -> None:
    wire = {"outcome": "passed", "reason": "", "tree": "tree"}
    review = {"outcome": "review_failed", "reason": "No."}
    assert with_review(wire, {"event": "decided", "review": review}) == {**wire, **review}
    assert with_review(wire, {"event": "decided"}) is with_review(wire, None) is wire
