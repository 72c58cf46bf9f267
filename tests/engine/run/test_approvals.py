from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.engine.record.approvals import Given, Question
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.fold import advance
from pytest_gump.engine.record.records import RunRecord
from pytest_gump.engine.run.approvals import nothing_to_do, question_about, reviewed
from pytest_gump.engine.schedule.records import Checked, Ready
from pytest_gump.gates.base import Verdict
from pytest_gump.order import AttemptResult, Order, Outcome, PlanItem, Timings
from pytest_gump.workflow.model import Approval, GateSpec, Step
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule_kit import agent, group

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.records import Role
    from pytest_gump.system.git.repository import Repository

TESTED = (GateSpec("test"),)
SHIP = Step(name="ship", approve=Approval(("cost",), expires=60.0))
REVIEW = group("validate-review", agent("look", output="review"))
VALIDATED: dict[str, Any] = {"gate": (*TESTED, GateSpec("validate", "review")), "validators": (REVIEW,)}


class Trees:
    def tree_of(self, commit: str) -> str:
        return f"tree of {commit}"


TREES: Repository = Trees()  # type: ignore[assignment]


def ready_of(step: Step, *, role: Role = "step") -> Ready:
    mode: Any = "approve" if step.approve else step.output if step.agent else "gate"
    return Ready(StepPath((step.name,)), step, 1, step.agent, mode, "base", "step base", role=role)


def order_of(ready: Ready) -> Order:
    path, mode = str(ready.path), ready.mode
    return Order("run", path, ready.attempt, mode, ready.agent, ready.base, ready.step_base, "run base", "w1")


def ended(outcome: Outcome = Outcome.PASSED, **more: Any) -> AttemptResult:
    return AttemptResult("impl", 1, outcome, "", None, Timings(1.0, 2.0), **more)


def ask(ready: Ready, result: AttemptResult) -> Question | None:
    return question_about(ready, order_of(ready), result, TREES, number=7, now=100.0)


@pytest.mark.parametrize(
    ("step", "gates_due", "is_asked"),
    [
        (agent("impl"), False, False),
        (SHIP, False, True),
        (agent("impl", hitl="after_gate"), False, True),
        (agent("impl", hitl="before_gate"), False, True),
        (agent("impl", hitl="after_gate", gate=TESTED), False, True),
        (agent("impl", hitl="before_gate", gate=TESTED), True, True),
        (agent("impl", hitl="before_gate", gate=TESTED), False, False),
        (agent("impl", hitl="after_gate", **VALIDATED), False, False),
        (agent("impl", hitl="before_gate", **VALIDATED), False, False),
        (agent("impl", hitl="before_gate", **VALIDATED), True, True),
    ],
)
def test_a_person_is_asked_before_or_after_the_gates(step: Step, gates_due: bool, is_asked: bool) -> None:
    result = ended(gates_due=gates_due)
    assert (ask(ready_of(step), result) is not None) is is_asked
    assert ask(ready_of(step), replace(result, outcome=Outcome.GATE_FAILED)) is None


@pytest.mark.parametrize(
    ("role", "is_asked"),
    [("step", True), ("gate", True), ("replan-check", True), ("replan-plan", False), ("replan-item", False)],
)
def test_a_person_is_not_asked_about_the_other_parts_of_a_replan(role: Role, is_asked: bool) -> None:
    ready = ready_of(agent("impl", hitl="after_gate"), role=role)
    assert (ask(ready, ended()) is not None) is is_asked


def test_a_question_about_a_step_names_its_change() -> None:
    question = ask(ready_of(agent("impl", hitl="after_gate")), ended(snapshot="snapshot", tree="tree"))
    assert question is not None
    assert question._asdict() == {
        "number": 7, "step": "impl", "base": "step base", "commit": "snapshot", "subject": "tree", "since": 100.0,
        "expires": None, "show": ("diff", "cost", "changed_config"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "role", "base"),
    [("gate", "step", "run base"), ("gate", "gate", "step base"), ("plan", "step", "step base")],
)
def test_a_person_sees_the_change_of_the_step_or_group_and_for_gate_only_steps_that_of_the_run(
    mode: Any, role: Role, base: str
) -> None:
    question = ask(replace(ready_of(agent("impl", hitl="after_gate"), role=role), mode=mode), ended())
    assert question is not None
    assert question.base == base


def test_an_approval_step_asks_about_the_change_of_the_run() -> None:
    ready = ready_of(SHIP)
    order = order_of(ready)
    result = nothing_to_do(order, TREES, 5.0)
    made = AttemptResult("ship", 1, Outcome.PASSED, "", None, Timings(5.0, 0.0), tree="tree of base", made=order.made)
    assert result == made
    question = ask(ready, result)
    assert question is not None
    assert question._asdict() == {
        "number": 7, "step": "ship", "base": "run base", "commit": "base", "subject": "tree of base", "since": 100.0,
        "expires": 160.0, "show": ("cost",),
    }  # fmt: skip


@pytest.mark.parametrize(
    "handed", [{"plan": (PlanItem("One", slug="one"),)}, {"verdict": Verdict(passed=True)}, {"artifact": "text"}]
)
def test_an_approval_applies_to_what_the_agent_hands_over(handed: dict[str, Any]) -> None:
    ready = ready_of(agent("look", output="review", hitl="after_gate"))
    plain, question, same = ask(ready, ended()), ask(ready, ended(**handed)), ask(ready, ended(**handed))
    assert plain is not None
    assert question is not None
    assert plain.subject == "tree of base"
    assert question.subject.startswith("tree of base:")
    assert question == same
    [name] = handed
    others: dict[str, Any] = {"plan": (), "verdict": Verdict(passed=False), "artifact": "other"}
    assert ask(ready, ended(**{name: others[name]})) not in (question, plain)


@pytest.mark.parametrize(
    ("mode", "role", "base"),
    [("diff", "step", "its base"), ("gate", "step", "run base"), ("gate", "gate", "its base")],
)
def test_the_person_after_the_validators_sees_the_change_that_they_check(mode: Any, role: Role, base: str) -> None:
    checked = replace(ready_of(agent("impl"), role=role), mode=mode, step_base="its base")
    result = ended(plan=(PlanItem("One", slug="one"),))
    ready = replace(ready_of(SHIP), checks=Checked(checked, "commit", result))
    question, plain = ask(ready, ended()), ask(ready_of(SHIP), ended())
    assert question is not None
    assert plain is not None
    assert question.base == base
    assert question.subject != plain.subject


# -- answers ---------------------------------------------------------------------------------------------------------


class Reviewed:
    """A run with attempts of a step that a person must approve, all with the same files."""

    def __init__(self, step: Step) -> None:
        self.record, self.step = RunRecord(), step

    def ask(
        self, attempt: int = 1, *, now: float = 100.0, tree: str | None = "tree"
    ) -> tuple[Question | None, AttemptResult, dict[str, Any]]:
        """Start the attempt if it is new, and return what `reviewed` returns about it."""
        known = self.record.steps.get(self.step.name)
        number = len(self.record.attempts) + 1
        if known is None or attempt not in [one.attempt for one in known.attempts]:
            fields = {"number": number, "attempt": attempt, "step": self.step.name, "mode": "diff", "entry": "first"}
            advance(self.record, {"event": "attempt_started", "at": 1.0, "agent": None, "step_base": "", **fields})
        ready = replace(ready_of(self.step), attempt=attempt)
        found = reviewed(self.record, ready, order_of(ready), ended(tree=tree), repository=TREES, now=now)
        if found[0] is not None:
            advance(self.record, {"event": "awaiting", "at": now, **found[0]._asdict()})
        return found

    def answer(self, *, approved: bool, number: int = 1, text: str = "", by: str = "Ada") -> None:
        about = Given(approved, by, text).about(self.record.approvals.questions[number])
        advance(self.record, {"event": "approval", "at": 3.0, **about})


def test_an_attempt_that_needs_no_person_is_not_changed() -> None:
    assert Reviewed(agent("impl")).ask() == (None, ended(tree="tree"), {})


def test_an_approval_names_the_person_and_the_same_files_need_no_second_approval() -> None:
    run = Reviewed(SHIP)
    assert run.ask()[0] is not None
    run.answer(approved=True)
    approved = (None, ended(tree="tree"), {"approval": {"by": "Ada", "at": 3.0}})
    assert run.ask() == run.ask(2) == approved
    other, *_ = run.ask(2, tree="other")
    assert other is not None
    assert (other.number, other.subject) == (2, "other")


@pytest.mark.parametrize(
    ("by", "text", "reason"),
    [
        ("Ada", " Not this way.\nUse B. ", "rejected by Ada: Not this way. Use B."),
        ("Ada", "x" * 500, f"rejected by Ada: {'x' * 282}…"),
    ],
)
def test_a_rejected_attempt_is_a_failed_review_with_the_text(by: str, text: str, reason: str) -> None:
    run = Reviewed(SHIP)
    run.ask()
    run.answer(approved=False, text=text, by=by)
    question, result, fields = run.ask()
    assert question is None
    assert (result.outcome, result.reason) == (Outcome.REVIEW_FAILED, reason)
    assert result.verdict == Verdict(passed=False, comment=text.strip())
    verdict = {"passed": False, "comment": text.strip()}
    assert fields == {"review": {"outcome": "review_failed", "reason": reason, "verdict": verdict}}


def test_a_rejection_applies_to_its_attempt_only() -> None:
    run = Reviewed(SHIP)
    run.ask()
    run.answer(approved=False)
    again, *_ = run.ask(2)
    assert again is not None
    assert again.number == 2


def test_the_newest_answer_applies() -> None:
    run = Reviewed(SHIP)
    run.ask()
    run.answer(approved=True)
    run.answer(approved=False)
    assert run.ask()[1].outcome is Outcome.REVIEW_FAILED
    run.answer(approved=True)
    assert run.ask()[1].passed


def test_an_attempt_without_files_of_its_own_is_about_those_at_its_start() -> None:
    question, *_ = Reviewed(SHIP).ask(tree=None)
    assert question is not None
    assert question.subject == "tree of base"


def test_an_answer_of_another_step_does_not_apply() -> None:
    run = Reviewed(SHIP)
    run.ask()
    run.answer(approved=True)
    run.step = replace(SHIP, name="other")
    assert run.ask()[0] is not None


def test_the_time_for_an_answer_counts_from_the_first_question() -> None:
    run = Reviewed(SHIP)
    run.ask(now=100.0)
    question, result, fields = run.ask(now=159.9)
    assert question is not None
    assert (question.since, question.expires, result.outcome, fields) == (100.0, 160.0, Outcome.PASSED, {})
    question, result, _ = run.ask(now=160.0)
    assert question is None
    assert (result.outcome, result.reason) == (Outcome.REVIEW_FAILED, "no approval in time: expired")
    assert result.verdict == Verdict(passed=False, comment="expired")


def test_an_answer_in_time_applies_after_the_time_is_over() -> None:
    run = Reviewed(SHIP)
    run.ask(now=100.0)
    run.answer(approved=True)
    assert run.ask(now=500.0)[1].passed


def test_an_answer_is_recorded_without_control_sequences_and_its_person_in_one_line() -> None:
    run = Reviewed(SHIP)
    run.ask()
    run.answer(approved=False, by="Ada\nGump-Run: x\x1b[31m", text=" use B\x1b[2K\x9b1m\n{spec}\udcff\r\n")
    (answer,) = run.record.approvals.answers
    assert (answer.by, answer.text) == ("Ada Gump-Run: x", "use B\n{spec}\ufffd")


def test_an_approval_of_another_run_keeps_its_time() -> None:
    run = Reviewed(SHIP)
    run.ask(tree="other")
    about = Given(approved=True, by="Ada").about(run.record.approvals.questions[1])
    carried = {"event": "approval", "at": 3.0, "answered": 2.0, **about, "subject": "tree", "commit": "0" * 40}
    assert is_event(carried)
    assert not is_event({**carried, "answered": "soon"})
    advance(run.record, carried)
    assert run.ask(2)[2] == {"approval": {"by": "Ada", "at": 2.0}}


@pytest.mark.parametrize(
    ("step", "about"),
    [("impl", "impl"), ("build::impl--validate--approval::approve[a]", "build::impl[a]"), ("all::gate", "all::gate")],
)
def test_the_question_after_validators_is_about_their_step(step: str, about: str) -> None:
    question = Question(1, step, "base", "commit", "tree", 0.0, None, ())
    assert question.about == about
