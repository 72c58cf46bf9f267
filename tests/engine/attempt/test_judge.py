from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from pytest_gump.agents.base import Ending
from pytest_gump.agents.usage import Usage
from pytest_gump.engine.attempt.agent_phase import AgentRun
from pytest_gump.engine.attempt.handover import Handover
from pytest_gump.engine.attempt.judge import PASSED, Judgement, judge_gates, judge_work
from pytest_gump.engine.checks.guard import Breach, GuardName
from pytest_gump.gates.base import GateResult
from pytest_gump.order import Limits, Outcome, Verdict

OK = AgentRun(Ending("ok", "", "", Usage(), None))
FAILED = replace(OK, ending=Ending("agent_error", "no key", "", Usage(), None))
BREACH = Breach("max_turns", "guard max_turns: turn 3 began, 2 are allowed")
NOT_GOOD = Handover(verdict=Verdict(passed=False, comment="line 3\nis wrong"))


def judge(
    run: AgentRun = OK, handover: Handover | None = None, *, unwanted: tuple[str, ...] = (), crossing: str | None = None
) -> Judgement | None:
    return judge_work(run, Limits(), handover or Handover(), unwanted=unwanted, crossing=crossing)


def test_work_without_faults_is_left_to_the_gates() -> None:
    assert judge() is None
    assert judge(handover=Handover(verdict=Verdict(passed=True))) is None


# In order of precedence. Each is tested alone, and against every one after it.
FAULTS = [
    (Outcome.CANCELLED, {"cancelled": True}),
    (Outcome.OUT_OF_BOUNDS, {"trespass": "/home/me/project/a.py"}),
    (Outcome.GUARD, {"breach": BREACH}),
    (Outcome.AGENT_ERROR, {"ending": FAILED.ending}),
]


@pytest.mark.parametrize(("outcome", "fault"), FAULTS)
def test_each_fault_has_its_outcome(outcome: Outcome, fault: dict[str, object]) -> None:
    judgement = judge(replace(OK, **fault))  # type: ignore[arg-type]
    assert judgement is not None
    assert judgement.outcome is outcome


@pytest.mark.parametrize(("higher", "lower"), list(combinations(FAULTS, 2)))
def test_fault_of_higher_precedence_is_reported(
    higher: tuple[Outcome, dict[str, object]], lower: tuple[Outcome, dict[str, object]]
) -> None:
    judgement = judge(replace(OK, **lower[1], **higher[1]), NOT_GOOD, crossing="files")  # type: ignore[arg-type]
    assert judgement is not None
    assert judgement.outcome is higher[0]


def test_precedence_of_faults_of_the_work() -> None:
    invalid = Handover(errors=("no plan", "twice"), verdict=NOT_GOOD.verdict)
    assert judge(FAILED, invalid, unwanted=("a.py",), crossing="c") == Judgement(
        Outcome.GUARD, "guard no_write: changed a.py", "no_write"
    )
    assert judge(FAILED, invalid, crossing="c") == Judgement(Outcome.AGENT_ERROR, "no key")
    assert judge(OK, invalid, crossing="c") == Judgement(Outcome.OUTPUT_INVALID, "no plan; twice")
    assert judge(OK, NOT_GOOD, crossing="c") == Judgement(Outcome.OUT_OF_BOUNDS, "c")
    assert judge(OK, NOT_GOOD) == Judgement(Outcome.REVIEW_FAILED, "review did not pass: line 3 is wrong")


def test_usage_limit_is_not_an_agent_error() -> None:
    run = replace(OK, ending=Ending("quota", "resets 5pm", "", Usage(), None))
    assert judge(run) == Judgement(Outcome.QUOTA, "resets 5pm")


def test_exceeded_shared_budget_has_the_outcome_budget() -> None:
    run = replace(OK, breach=Breach("max_budget", "the run's max_budget: $2.01 spent of $2.00", is_shared=True))
    judgement = judge(run)
    assert judgement is not None
    assert judgement.outcome is Outcome.BUDGET


@pytest.mark.parametrize(
    ("guard", "field"), [("max_budget", "budget_scope"), ("max_tokens", "tokens_scope"), ("max_time", "time_scope")]
)
def test_reached_limit_of_a_step_call_or_run_is_not_a_guard(guard: GuardName, field: str) -> None:
    run = replace(OK, breach=Breach(guard, "spent"))
    for scope in ("guard", "step", "call", "run"):
        judgement = judge_work(run, replace(Limits(), **{field: scope}), Handover(), unwanted=(), crossing=None)  # type: ignore[arg-type]
        assert judgement is not None
        outcome = Outcome.GUARD if scope == "guard" else Outcome.BUDGET
        assert (judgement.outcome, judgement.guard) == (outcome, guard)


def test_skipped_gates_pass_and_errors_take_precedence_over_failures() -> None:
    passed, skipped = GateResult("compile", "passed"), GateResult("lint", "skipped", "ruff is not installed")
    failed, error = GateResult("test", "failed", "2 failed, 7 passed"), GateResult("bash: x", "error", "timed out")
    assert judge_gates([passed, skipped]) == PASSED
    assert judge_gates([passed, failed]) == Judgement(Outcome.GATE_FAILED, "test failed: 2 failed, 7 passed")
    assert judge_gates([failed, error]) == Judgement(Outcome.GATE_ERROR, "bash: x could not run: timed out")
    assert judge_gates([]) == PASSED


def test_reason_is_one_short_line() -> None:
    judgement = Judgement.failed(Outcome.AGENT_ERROR, "a\nb\x1b[31m" + "x" * 1000)
    assert judgement.reason.startswith("a b")
    assert "\n" not in judgement.reason
    assert len(judgement.reason) <= 300
