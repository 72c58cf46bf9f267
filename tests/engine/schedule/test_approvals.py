"""Attempts that wait for a person: they are held, answered later, or split into the agent's part and the gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.approvals import ScheduleWithApprovals
from pytest_gump.engine.schedule.records import Settled
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.order import Outcome
from pytest_gump.workflow.model import Approval, GateSpec, Step, Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule.test_schedule_properties import FAILURES, workflows
from tests.engine.schedule_kit import Drive, agent, ended, flat, gate, group, own_policy, plan
from tests.kits.examples import examples

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.records import Ready

    from tests.engine.schedule_kit import Done


@dataclass
class Asked(Drive):
    def __post_init__(self) -> None:
        self.schedule = self.waits = ScheduleWithApprovals(Workflow(name="w", steps=self.steps), base="base")


SHIP = Step(name="ship", approve=Approval())


def start(drive: Asked) -> Ready:
    (ready,) = drive.waits.ready(1)
    drive.waits.start(ready.path)
    return ready


def statuses(drive: Asked) -> list[str]:
    return [leaf.status for leaf in drive.waits.leaves()]


def test_a_held_attempt_stops_the_steps_after_it() -> None:
    drive = Asked((agent("impl"), SHIP, agent("after")))
    assert not drive.waits.is_awaiting
    assert drive.waits.end_if_stalled() is None
    drive.step()
    ready = start(drive)
    assert drive.waits.end_if_stalled() is None
    assert (ready.mode, ready.agent, ready.base) == ("approve", None, "impl#1")
    assert drive.waits.hold(ready.path) == Settled("awaiting", Outcome.AWAITING)
    assert drive.waits.ready() == []
    assert drive.waits.end_if_stalled() == Settled("awaiting", Outcome.AWAITING, skipped=(StepPath(("after",)),))
    assert drive.waits.reason == "ship must be approved first"
    assert (drive.waits.done, drive.waits.is_awaiting) == (True, True)
    assert not drive.waits.passed
    assert statuses(drive) == ["passed", "awaiting", "skipped"]


def test_a_released_attempt_settles_as_usual() -> None:
    drive = Asked((agent("impl"), SHIP))
    drive.step()
    ready = start(drive)
    drive.waits.hold(ready.path)
    drive.waits.release(ready.path)
    assert statuses(drive) == ["passed", "running"]
    assert drive.waits.complete(*drive.done(ready), own_policy).verdict == "passed"
    assert drive.waits.passed


def test_a_rejected_step_follows_its_policy() -> None:
    ship = Step(name="ship", approve=Approval(), on_failure=flat(2, restart_from="impl"))
    drive = Asked((agent("impl"), ship))
    drive.step()
    ready = start(drive)
    drive.waits.hold(ready.path)
    drive.waits.release(ready.path)
    drive.waits.complete(*ended(ready.path, 1, "review_failed", commit=ready.base), own_policy)
    (again,) = drive.waits.ready()
    assert (str(again.path), again.attempt, again.failure and again.failure.outcome) == ("impl", 2, "review_failed")


def test_siblings_finish_and_merges_stop_before_a_held_member() -> None:
    members = (agent("a"), agent("b", hitl="after_gate"), agent("c"))
    drive = Asked((group("all", *members, parallel=True),))
    drive.step()
    drive.step()  # the merge of a
    held = start(drive)
    drive.waits.hold(held.path)
    drive.step()
    assert [str(ready.path) for ready in drive.orders] == ["all::a", "all::merge[a]", "all::c"]
    assert drive.waits.ready() == []
    assert drive.waits.end_if_stalled() is not None
    assert drive.waits.head == "all::merge[a]#1"
    assert drive.statuses["all::b"] == "awaiting"
    assert drive.statuses["all::merge[c]"] == "skipped"


def test_a_held_member_keeps_no_worktree() -> None:
    drive = Asked((group("all", agent("a"), agent("b"), parallel=True),))
    held = start(drive)
    assert {str(path) for path in drive.waits.living()} == {"all::a"}
    drive.waits.hold(held.path)
    assert not drive.waits.living()


def test_a_failed_sibling_is_given_up_when_the_run_stalls() -> None:
    members = (agent("a"), agent("b"))
    steps = (group("all", *members, parallel=True, on_failure=flat(2)),)
    drive = Asked(steps, fails={"all::b": ["gate_failed"]})
    drive.waits.hold(start(drive).path)
    assert drive.step().verdict == "again"
    stalled = drive.waits.end_if_stalled()
    assert stalled is not None
    assert [str(path) for path in stalled.failed] == ["all::b"]


def test_the_gates_of_a_split_attempt_run_on_its_commit_under_its_number() -> None:
    drive = Asked((agent("impl", hitl="before_gate", on_failure=flat(2)),))
    ready = start(drive)
    drive.waits.hold(ready.path)
    drive.waits.release(ready.path)
    assert drive.waits.split(ready.path, "snapshot").verdict == "approved"
    (gates,) = drive.waits.ready()
    assert (gates.path, gates.attempt, gates.agent, gates.entry) == (ready.path, 1, None, "gates")
    assert (gates.base, gates.step_base) == ("snapshot", "base")
    drive.waits.complete(*ended(gates.path, 1, "gate_failed", commit="snapshot", failing="test"), own_policy)
    (retry,) = drive.waits.ready()
    assert (retry.attempt, retry.agent, retry.base) == (2, "haiku", "snapshot")


def test_the_gates_do_not_start_after_the_run_has_failed() -> None:
    drive = Asked((group("all", agent("a"), agent("b"), parallel=True),), fails={"all::b": ["gate_error"]})
    held = start(drive)
    drive.step()
    assert drive.waits.split(held.path, "snapshot") == Settled("approved", skipped=(StepPath(("all", "a")),))
    assert drive.waits.ready() == []
    assert drive.statuses["all::a"] == "skipped"


def test_a_run_with_members_to_start_is_not_stalled() -> None:
    drive = Asked((group("all", agent("a"), agent("b"), parallel=True),))
    drive.waits.hold(start(drive).path)
    assert drive.waits.end_if_stalled() is None


def test_a_person_is_asked_after_the_validators_about_the_step() -> None:
    judge = group("validate-v", agent("judge", output="review"))
    step = agent("impl", hitl="after_gate", gate=(GateSpec("validate", "v"),), validators=(judge,), on_failure=flat(2))
    drive = Asked((step,), fails={"impl--validate-v::judge": ["review_failed"]})
    for _ in range(4):
        drive.step()
    held = start(drive)
    assert [*map(str, (ready.path for ready in drive.orders)), str(held.path)] == [
        *("impl", "impl--validate-v::judge") * 2, "impl--validate--approval::approve",
    ]  # fmt: skip
    drive.waits.hold(held.path)
    assert drive.statuses == {"impl": "awaiting"}
    assert drive.waits.end_if_stalled() is not None
    assert drive.waits.reason == "impl must be approved first"


def test_a_group_is_approved_after_its_members() -> None:
    drive = Asked((group("all", agent("a"), hitl="after_gate"),))
    drive.step()
    ready = start(drive)
    assert (str(ready.path), ready.role, ready.step.hitl) == ("all::gate", "gate", "after_gate")


@pytest.mark.parametrize("reason", ["stop", "abort"])
def test_a_held_attempt_stays_held_when_the_run_ends(reason: str) -> None:
    drive = Asked((agent("impl", hitl="after_gate"), gate("after")))
    drive.waits.hold(start(drive).path)
    skipped = getattr(drive.waits, reason)("the session was stopped")
    assert [str(path) for path in skipped] == ["after"]
    assert statuses(drive) == ["awaiting", "skipped"]
    assert drive.waits.end_if_stalled() is None


@dataclass
class Answered:
    """Runs a schedule in which a person answers about passed attempts, later or never."""

    workflow: Workflow
    failing: float
    seed: int
    rate: float = 0.0
    """Rate of the attempts that are held."""
    answers: int = 10_000
    """Number of answers that the person gives."""
    waiting: list[tuple[Ready, Done]] = field(default_factory=list)
    settled: list[tuple[Done, bool]] = field(default_factory=list)
    """Settled attempts, and True for those that were split."""

    def run(self) -> ScheduleWithApprovals:
        random = Random(self.seed)
        schedule = ScheduleWithApprovals(self.workflow, base="base")
        for _ in range(5_000):
            if schedule.done:
                return schedule
            offered = schedule.ready(1)
            if not offered and not (self.waiting and self.answers):
                assert schedule.end_if_stalled() is not None
                continue
            if not offered or (self.waiting and self.answers and random.random() < 0.3):
                self.answers -= 1
                ready, done = self.waiting.pop(random.randrange(len(self.waiting)))
                schedule.release(ready.path)
                self._settle(schedule, ready, done, random)
            else:
                self._carry_out(schedule, offered[0], random)
        raise AssertionError("the schedule did not end")

    def _carry_out(self, schedule: ScheduleWithApprovals, ready: Ready, random: Random) -> None:
        schedule.start(ready.path)
        done = self._done(ready)
        may_wait = ready.role in {"step", "gate", "replan-check"} and not ready.step.validators
        if done.outcome is Outcome.PASSED and may_wait and random.random() < self.rate:
            schedule.hold(ready.path)
            self.waiting.append((ready, done))
        else:
            self._settle(schedule, ready, done, None)

    def _settle(self, schedule: ScheduleWithApprovals, ready: Ready, done: Done, random: Random | None) -> None:
        is_split = random is not None and ready.entry != "gates" and random.random() < 0.3
        self.settled.append((done, is_split))
        if is_split:
            schedule.split(ready.path, done.commit or ready.base)
        else:
            schedule.complete(*done, own_policy)

    def _done(self, ready: Ready) -> Done:
        """Return the end of an attempt, which depends only on its step and number."""
        chance = Random(f"{self.seed} {ready.path} {ready.attempt}")
        commit = f"{ready.path}#{ready.attempt}"
        if chance.random() >= self.failing:
            items = plan("u", "v") if ready.mode == "plan" else None
            return ended(ready.path, ready.attempt, agent=ready.agent, commit=commit, plan=items)
        outcome = "conflict" if ready.mode == "merge" else chance.choice(FAILURES[:-1])
        return ended(ready.path, ready.attempt, outcome, ready.agent, commit=commit)


@examples(200)
@given(workflows(), st.sampled_from([0.0, 0.1, 0.3]), st.integers(0, 10_000))
def test_late_answers_do_not_change_the_result(workflow: Workflow, failing: float, seed: int) -> None:
    plain, late = Answered(workflow, failing, seed).run(), Answered(workflow, failing, seed, rate=0.5).run()
    assert late.passed == plain.passed
    assert not late.passed or late.head == plain.head


@examples(200)
@given(workflows(), st.sampled_from([0.0, 0.1, 0.3]), st.integers(0, 10_000), st.integers(0, 3))
def test_a_run_without_answers_ends(workflow: Workflow, failing: float, seed: int, answers: int) -> None:
    walk = Answered(workflow, failing, seed, rate=0.3, answers=answers)
    schedule = walk.run()
    states = {leaf.path: leaf.status for leaf in schedule.leaves()}
    waiting = {ready.path for ready, _ in walk.waiting}
    waiting |= {path.checked for path in waiting if path.checked is not None}
    assert {path for path, status in states.items() if status == "awaiting"} <= waiting
    assert schedule.passed is (set(states.values()) == {"passed"})
    assert schedule.ready() == []
    assert schedule.passed or schedule.reason


@examples(200)
@given(workflows(), st.sampled_from([0.0, 0.1, 0.3]), st.integers(0, 10_000), st.integers(0, 5))
def test_a_replay_offers_the_waiting_attempts_again(
    workflow: Workflow, failing: float, seed: int, answers: int
) -> None:
    walk = Answered(workflow, failing, seed, rate=0.3, answers=answers)
    before = walk.run()
    schedule = ResumableSchedule(workflow, base="base")
    for done, is_split in walk.settled:
        schedule.start(done.path)
        if is_split:
            schedule.split(done.path, done.commit or "")
        else:
            schedule.replay(*done, own_policy)
    schedule.resume()
    if before.is_awaiting:
        offered = {(ready.path, ready.attempt) for ready in schedule.ready()}
        assert offered == {(ready.path, ready.attempt) for ready, _ in walk.waiting}
