"""Which steps of a run nobody has approved."""

from __future__ import annotations

import pytest
from pytest_gump.engine.maintenance.approve import not_approved, refuse_agent
from pytest_gump.engine.record.approvals import Given, Question
from pytest_gump.engine.record.records import RunRecord, StepRecord
from pytest_gump.errors import RunError
from pytest_gump.system.processes.process_table import MARK

YES, NO = Given(approved=True, by="Ada"), Given(approved=False, by="Ada", text="no good")


def asked(*answers: Given | None, status: str = "awaiting") -> RunRecord:
    """Return a run whose step `ship` waits after each of its attempts, with the answers to these."""
    record = RunRecord(steps={"ship": StepRecord("ship", "approve", status=status, reason="waits for approval of abc")})
    for number, given in enumerate(answers, 1):
        question = Question(number, "ship", "base", "commit", f"tree {number}", 1.0, None, ())
        record.approvals.ask({"event": "awaiting", **question._asdict()})
        if given is not None:
            record.approvals.answer({"event": "approval", "at": 2.0, **given.about(question)})
    return record


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (asked(), {}),
        (asked(None), {"ship": "waits for approval of abc"}),
        (asked(NO), {"ship": "rejected by Ada: no good"}),
        (asked(YES), {}),
        (asked(NO, YES), {}),
        (asked(YES, None), {"ship": "waits for approval of abc"}),
        (asked(NO, status="passed"), {}),  # the workflow needs no approval any more
    ],
)
def test_steps_whose_newest_question_has_no_approval_are_not_approved(record: RunRecord, found: dict[str, str]) -> None:
    assert not_approved(record) == found


def test_agent_is_refused_with_what_a_person_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "run-1")
    with pytest.raises(RunError, match="an attempt cannot approve its own work") as refused:
        refuse_agent()
    assert refused.value.hint == "a person must run gump approve"
