from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.schedule.decision import Failure, Replan, Restart, Retry, Stop
from pytest_gump.engine.schedule.failure_handling import failure_of
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.gates.base import GateResult
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import Approval, Entry, OnFailure, Policy, Step, When, Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule_kit import Drive, agent, ended, entries, flat, gate, group, plan, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.schedule.decision import Decision


def test_note_of_a_decision_names_the_conditions_unless_a_hook_decides() -> None:
    entry = Entry("escalate", "opus", when=When(gate=("test",)))
    step = agent("a", on_failure=OnFailure(flat=Policy(3, (Entry(), entry), adds_first=True)))
    drive = Drive((step,), fails={"a": ["gate_failed", "gate_failed"]}).run()
    assert [settled.why for settled in drive.settled] == [
        "strategy: escalate: opus if test fails",
        "no entry of the strategy fits this failure",
    ]
    hooked = Drive((step,), fails={"a": ["gate_failed"]}, decide=lambda *_: Retry(agent="codex")).run()
    assert [settled.why for settled in hooked.settled] == ["", ""]


def test_escalation_of_a_group_reruns_all_its_steps_with_the_other_agent() -> None:
    steps = (
        agent("a"),
        group("g", agent("b"), group("h", agent("c"), gate("d")), on_failure=flat(2, "same", "escalate: sonnet")),
    )
    drive = Drive(steps, {"g::h::c": ["gate_failed"]}).run()
    assert drive.log == [
        "a 1 haiku",
        "g::b 1 haiku",
        "g::h::c 1 haiku",
        "g::b 2 sonnet",
        "g::h::c 2 sonnet",
        "g::h::d 1 -",
    ]
    failed, again = drive.settled[2], drive.orders[3]
    assert (failed.verdict, [str(path) for path, _ in failed.decisions]) == ("again", ["g::h::c", "g"])
    assert (again.base, again.entry, again.session) == ("a#1", "group", "fresh")
    assert (str(again.failed), again.failure and again.failure.attempt) == ("g::h::c", 1)
    assert (drive.orders[4].session, drive.orders[4].entry) == ("policy", "group")
    assert drive.schedule.passed


def test_entry_same_of_a_group_keeps_the_tree_and_resumes_the_sessions() -> None:
    steps = (group("g", agent("a"), agent("b"), on_failure=flat(2, "same: 2")),)
    drive = Drive(steps, {"g::b": ["gate_failed"]}).run()
    assert [ready.base for ready in drive.orders] == ["base", "g::a#1", "g::b#1", "g::a#2"]
    assert [ready.session for ready in drive.orders] == ["policy", "policy", "resume", "resume"]


def test_new_pass_of_a_group_resets_failure_counts_but_not_attempt_numbers() -> None:
    inner = agent("a", on_failure=flat(2, "same: 2"))
    drive = Drive((group("g", inner, on_failure=flat(2, "same: 2")),), {"g::a": ["gate_failed"] * 4}).run()
    assert drive.log == ["g::a 1 haiku", "g::a 2 haiku", "g::a 3 haiku", "g::a 4 haiku"]
    assert [settled.verdict for settled in drive.settled] == ["retried", "again", "retried", "failed"]


def test_branch_of_a_groups_policy_depends_on_the_source_of_the_failure() -> None:
    on_failure = OnFailure(review_fail=policy(3, "same: 3"), gate_fail=policy(1))
    steps = (group("g", agent("code"), agent("review", output="review"), on_failure=on_failure),)
    assert Drive(steps, {"g::review": ["review_failed"] * 2}).run().schedule.passed
    failed = Drive(steps, {"g::code": ["gate_failed"]}).run()
    assert (failed.schedule.passed, len(failed.orders)) == (False, 1)


def test_restart_of_a_group_returns_to_an_earlier_sibling() -> None:
    steps = (agent("design"), group("g", agent("a"), on_failure=flat(2, "same", restart_from="design")))
    drive = Drive(steps, {"g::a": ["gate_failed"]}).run()
    assert drive.log == ["design 1 haiku", "g::a 1 haiku", "design 2 haiku", "g::a 2 haiku"]
    assert (drive.orders[2].base, drive.orders[2].session, str(drive.orders[2].failed)) == (
        "base",
        "fresh",
        "g::a",
    )
    assert drive.schedule.passed


def test_restart_from_the_step_itself_resets_the_tree_and_the_list() -> None:
    steps = (agent("a", on_failure=flat(4, "same", "escalate: sonnet", restart_from="a")),)
    drive = Drive(steps, {"a": ["gate_failed"] * 9}).run()
    assert drive.log == ["a 1 haiku", "a 2 sonnet", "a 3 haiku", "a 4 sonnet"]
    assert [ready.base for ready in drive.orders] == ["base"] * 4
    assert [ready.entry for ready in drive.orders] == ["first", "escalate", "restart", "escalate"]


def test_restart_keeps_the_counts_of_both_ends_and_resets_those_between() -> None:
    steps = (
        agent("a", on_failure=flat(2, "same: 2")),
        agent("b", on_failure=flat(2, "same: 2")),
        agent("c", on_failure=flat(3, "same", restart_from="a")),
    )
    fails = {"a": ["gate_failed", "passed", "passed", "gate_failed"], "b": ["gate_failed", "passed"] * 2}
    drive = Drive(steps, {**fails, "c": ["gate_failed"] * 2}).run()
    assert drive.log[-5:] == ["a 3 haiku", "b 3 haiku", "b 4 haiku", "c 2 haiku", "a 4 haiku"]
    assert drive.statuses["a"] == "failed"


def test_crossing_restarts_end() -> None:
    steps = (
        agent("a"),
        agent("b", on_failure=flat(3, "same", restart_from="a")),
        agent("c", on_failure=flat(3, "same", restart_from="a")),
    )
    drive = Drive(steps, {"b": ["gate_failed", "passed"] * 50, "c": ["gate_failed"] * 50}).run()
    assert drive.statuses["c"] == "failed"
    assert drive.log.count("c 3 haiku") == 1


def test_failure_is_passed_only_to_the_plan_item_that_failed() -> None:
    build = group("build", agent("tests"), agent("impl"), foreach="plan", on_failure=flat(2, "same: 2"))
    drive = Drive((agent("plan", output="plan"), build), {"build::impl[two]": ["gate_failed"]}).run()
    passed_on = {str(ready.path): str(ready.failed) for ready in drive.orders if ready.failure}
    assert passed_on == {"build::tests[two]": "build::impl[two]"}


def test_branches_count_their_own_failures_and_entry_same_keeps_the_agent() -> None:
    on_failure = OnFailure(
        gate_fail=policy(3, "same", "escalate: sonnet", "same"), guard_fail=policy(3, "same", "escalate: opus", "same")
    )
    drive = Drive((agent("a", on_failure=on_failure),), {"a": ["gate_failed", "guard", "guard", "gate_failed"]}).run()
    assert drive.log == ["a 1 haiku", "a 2 sonnet", "a 3 opus", "a 4 opus", "a 5 opus"]
    assert drive.schedule.passed


def test_failure_without_its_own_branch_counts_for_gate_fail() -> None:
    on_failure = OnFailure(gate_fail=policy(2, "same: 2"))
    drive = Drive((agent("a", on_failure=on_failure),), {"a": ["guard", "gate_failed"]}).run()
    assert (len(drive.orders), drive.statuses["a"]) == (2, "failed")


def test_restart_in_a_branch_resets_its_list() -> None:
    on_failure = OnFailure(review_fail=policy(4, "same", "escalate: opus", restart_from="code"))
    steps = (agent("code"), agent("review", output="review", on_failure=on_failure))
    drive = Drive(steps, {"review": ["review_failed"] * 4}).run()
    assert drive.log[1:] == [
        "review 1 haiku",
        "review 2 opus",
        "code 2 haiku",
        "review 3 haiku",
        "review 4 opus",
    ]
    assert drive.statuses["review"] == "failed"


def test_replan_runs_its_plan_its_items_and_the_gates() -> None:
    steps = (
        agent("p", output="plan"),
        group("b", agent("impl", on_failure=flat(2, "same", "replan: opus")), foreach="p"),
    )
    drive = Drive(steps, {"b::impl[x]": ["gate_failed"]}, {"p": plan("x"), "b::impl--replan::plan[x]": plan("u", "v")})
    drive.run()
    assert [(str(ready.path), ready.role, ready.attempt, ready.agent, ready.base) for ready in drive.orders[2:]] == [
        ("b::impl--replan::plan[x]", "replan-plan", 1, "opus", "base"),
        ("b::impl--replan::item[x--u]", "replan-item", 1, "haiku", "base"),
        ("b::impl--replan::item[x--v]", "replan-item", 1, "haiku", "b::impl--replan::item[x--u]#1"),
        ("b::impl[x]", "replan-check", 2, None, "b::impl--replan::item[x--v]#1"),
    ]
    assert (drive.orders[-1].mode, drive.orders[-1].step_base, drive.orders[2].mode) == ("gate", "base", "plan")
    assert [settled.verdict for settled in drive.settled[1:]] == ["escalated", *["passed"] * 4]
    assert drive.schedule.passed
    assert "b::impl--replan::plan[x]" not in drive.statuses


@pytest.mark.parametrize("part", ["impl--replan::plan", "impl--replan::item[one]"])
def test_failed_part_of_a_replan_fails_the_attempt_of_the_step(part: str) -> None:
    steps = (agent("impl", on_failure=flat(3, "same", "replan: opus", "same")),)
    drive = Drive(steps, {"impl": ["gate_failed"], part: ["gate_failed"]}).run()
    index = [str(ready.path) for ready in drive.orders].index(part)
    settled, following = drive.settled[index], drive.orders[index + 1]
    assert (settled.verdict, str(settled.step)) == ("again", "impl")
    assert (str(following.path), following.attempt, following.agent, following.entry) == ("impl", 3, "haiku", "same")
    assert str(following.failed) == part
    assert following.base == ("base" if part.endswith("plan") else f"{part}#1")


def test_second_replan_gets_the_failure_of_the_failed_part() -> None:
    steps = (agent("impl", on_failure=flat(3, "same", "replan: opus")),)
    part = "impl--replan::item[one]"
    drive = Drive(steps, {"impl": ["gate_failed"], part: ["guard"]}).run()
    again = [ready for ready in drive.orders if ready.role == "replan-plan"][1]
    assert (str(again.failed), again.failure and again.failure.outcome) == (part, "guard")


def test_failed_part_of_the_last_attempt_fails_the_step() -> None:
    drive = Drive((agent("impl", on_failure=flat(2, "same", "replan: opus")),), {"impl": ["gate_failed"]})
    drive.fails["impl--replan::item[two]"] = ["agent_error"]
    drive.run()
    assert (drive.settled[-1].verdict, drive.settled[-1].outcome) == ("failed", "agent_error")
    assert drive.statuses == {"impl": "failed"}


def test_no_progress_skips_the_rest_of_the_same_entries() -> None:
    steps = (agent("a", on_failure=flat(9, "same: 5", "escalate: opus")),)
    drive = Drive(steps, {"a": ["gate_failed"] * 3}, tree=lambda _: "t").run()
    assert drive.log == ["a 1 haiku", "a 2 haiku", "a 3 opus", "a 4 opus"]


def test_repeated_escalation_entry_is_a_retry_after_the_first_time() -> None:
    steps = (agent("a", on_failure=flat(3, "same", "escalate: sonnet")),)
    drive = Drive(steps, {"a": ["gate_failed"] * 2}).run()
    assert drive.log == ["a 1 haiku", "a 2 sonnet", "a 3 sonnet"]
    assert [settled.verdict for settled in drive.settled] == ["escalated", "retried", "passed"]
    assert {ready.base for ready in drive.orders} == {"base"}


def test_no_progress_without_another_entry_ends_the_step() -> None:
    drive = Drive((agent("a", on_failure=flat(9, "same: 5")),), {"a": ["gate_failed"] * 9}, tree=lambda _: "t").run()
    assert len(drive.orders) == 2
    assert (drive.settled[-1].verdict, drive.settled[-1].outcome) == ("failed", "no_progress")
    assert "no progress" in drive.settled[-1].reason


def test_no_progress_continues_with_the_restart() -> None:
    steps = (agent("a"), agent("b", on_failure=flat(4, "same: 4", restart_from="a")))
    drive = Drive(steps, {"b": ["gate_failed"] * 3}, tree=lambda _: "t").run()
    assert drive.log[1:] == ["b 1 haiku", "b 2 haiku", "a 2 haiku", "b 3 haiku", "b 4 haiku"]
    assert drive.schedule.passed


@pytest.mark.parametrize(
    "step", [gate("a", on_failure=flat(3, "same: 3")), agent("a", output="review", on_failure=flat(3, "same: 3"))]
)
def test_no_progress_does_not_apply_to_read_only_steps(step: Step) -> None:
    drive = Drive((step,), {"a": ["gate_failed"] * 3}, tree=lambda _: "t").run()
    assert len(drive.orders) == 3


def test_hook_may_retry_instead_of_a_restart_of_the_policy() -> None:
    def hook(_: Step, path: StepPath, __: Sequence[Failure], own: Decision) -> Decision:
        return Retry(agent="codex", worktree="reset") if isinstance(own, Restart) else own

    steps = (agent("a"), agent("b", on_failure=flat(3, "same", restart_from="a")))
    drive = Drive(steps, {"b": ["gate_failed"]}, decide=hook).run()
    assert drive.log == ["a 1 haiku", "b 1 haiku", "b 2 codex"]
    assert (drive.settled[1].verdict, drive.orders[2].base) == ("escalated", "a#1")


def test_hook_cannot_retry_a_step_without_attempts_left() -> None:
    def hook(_: Step, __: StepPath, ___: Sequence[Failure], ____: Decision) -> Decision:
        return Retry()

    drive = Drive((agent("a", on_failure=flat(2, "same: 2")),), {"a": ["gate_failed"] * 9}, decide=hook).run()
    assert len(drive.orders) == 2
    assert drive.settled[-1].verdict == "failed"
    assert drive.settled[-1].why == "the retry hook requested another attempt, but the step has no attempt left"


def test_reason_of_a_hook_is_kept_at_the_limit_of_failures() -> None:
    drive = Drive((agent("a"),), {"a": ["gate_failed"]}, decide=lambda *_: Stop("mine")).run()
    assert (drive.settled[-1].verdict, drive.settled[-1].reason, drive.settled[-1].why) == ("failed", "mine", "mine")


def test_hook_may_stop_early_and_name_the_outcome() -> None:
    def hook(_: Step, __: StepPath, failures: Sequence[Failure], ____: Decision) -> Decision:
        return Stop(reason=f"enough after {len(failures)}", outcome="no_progress")

    drive = Drive((agent("a", on_failure=flat(5, "same: 5")),), {"a": ["gate_failed"] * 9}, decide=hook).run()
    assert (len(drive.orders), drive.settled[-1].reason) == (1, "enough after 1")
    assert drive.settled[-1].outcome == "no_progress"
    assert drive.schedule.reason == "a failed: no_progress"


def test_restart_from_a_step_that_is_not_an_earlier_sibling_is_an_error() -> None:
    steps = (agent("a", on_failure=flat(3, "same: 3")), agent("z"))
    drive = Drive(steps, {"a": ["gate_failed"]}, decide=lambda *_: Restart("z"))
    with pytest.raises(ValueError, match="cannot restart a from 'z'"):
        drive.run()


def test_entries_can_override_session_and_worktree() -> None:
    kept = replace(entries("escalate: sonnet")[1], worktree="keep", session="resume", prompt="go on")
    on_failure = OnFailure(flat=replace(policy(2), strategy=(*entries("same"), kept)))
    drive = Drive((agent("a", on_failure=on_failure),), {"a": ["gate_failed"]}).run()
    second = drive.orders[1]
    assert (second.base, second.session, second.prompt, second.agent) == ("a#1", "resume", "go on", "sonnet")
    assert drive.settled[0].verdict == "escalated"


def hook_of_group(decision: Decision) -> Callable[[Step, StepPath, Sequence[Failure], Decision], Decision]:
    """Return a hook that decides only for the group `g`."""
    return lambda _, path, __, own: decision if str(path) == "g" else own


@pytest.mark.parametrize(
    ("decision", "session", "base"),
    [
        (Retry(), "resume", "g::a#2"),
        (Retry("opus"), "resume", "g::a#2"),
        (Retry("sonnet"), "fresh", "g::a#2"),
        (Retry(worktree="reset"), "fresh", "base"),
        (Retry("opus", worktree="reset"), "fresh", "base"),
        (Retry(session="resume", worktree="reset"), "resume", "base"),
        (Retry("sonnet", session="resume"), "resume", "g::a#2"),
        (Retry(session="fresh"), "fresh", "g::a#2"),
    ],
)
def test_new_pass_resumes_sessions_by_default_if_agent_and_tree_are_the_same(
    decision: Retry, session: str, base: str
) -> None:
    steps = (group("g", agent("a"), agent("b"), on_failure=flat(3, "same: 3")),)
    drive = Drive(steps, {"g::a": ["gate_failed", "gate_failed"]}, decide=hook_of_group(Retry("opus")))
    drive.step()
    drive.decide = hook_of_group(decision)
    drive.run()
    _, second, third, other = drive.orders
    assert (second.agent, second.session) == ("opus", "fresh")
    assert (third.agent, third.session, third.base) == (decision.agent or "opus", session, base)
    assert (other.agent, other.session, other.entry) == (third.agent, "policy", "first"), "it has no session yet"


@pytest.mark.parametrize(
    ("decision", "entry", "session"),
    [
        (Retry(), "same", "resume"),
        (Retry("haiku"), "same", "resume"),
        (Retry("sonnet"), "escalate", "fresh"),
        (Retry(worktree="reset"), "same", "fresh"),
        (Retry("haiku", worktree="reset"), "escalate", "fresh"),
        (Retry("sonnet", session="resume"), "escalate", "resume"),
        (Retry(session="fresh", prompt="p"), "same", "fresh"),
    ],
)
def test_retry_resumes_the_session_by_default_if_agent_and_tree_are_the_same(
    decision: Retry, entry: str, session: str
) -> None:
    drive = Drive((agent("a", on_failure=flat(2)),), {"a": ["gate_failed"]}, decide=lambda *_: decision).run()
    second = drive.orders[1]
    assert (second.entry, second.session, second.prompt) == (entry, session, decision.prompt)
    assert (second.agent, second.base) == (decision.agent or "haiku", "base" if decision.worktree == "reset" else "a#1")


def test_retried_gate_has_no_agent_and_no_session() -> None:
    drive = Drive((agent("a"), gate("b", on_failure=flat(2))), {"b": ["gate_failed"]}, decide=lambda *_: Retry("opus"))
    second = drive.run().orders[2]
    assert (second.agent, second.session, second.entry) == (None, "policy", "escalate")


MEMBERS = agent("a"), agent("b", on_failure=flat(2, "same", "replan: opus")), agent("c")


@pytest.mark.parametrize(
    ("fails", "shown"),
    [
        ({"g::a": ["gate_failed"]}, {"g::a": "g::a"}),
        ({"g::c": ["guard"], "g::a": ["gate_failed"]}, {"g::a": "g::a", "g::c": "g::c"}),
        (
            {"g::b": ["gate_failed"], "g::b--replan::item[one]": ["guard"]},
            {"g::b": "g::b--replan::item[one]"},
        ),
        ({"g::merge[c]": ["conflict"]}, {"g::c": "g::merge[c]"}),
        ({"g::gate": ["gate_failed"]}, {"g::a": "g::gate", "g::b": "g::gate", "g::c": "g::gate"}),
    ],
)
def test_each_member_gets_its_own_failures_in_a_new_pass(fails: dict[str, list[str]], shown: dict[str, str]) -> None:
    both = group("g", *MEMBERS, parallel=True, gate=gate("x").gate, on_failure=flat(2, "same: 2"))
    drive = Drive((both,), {path: [*outcomes] for path, outcomes in fails.items()}).run()
    assert drive.schedule.passed
    passes = [number for number, ready in enumerate(drive.orders) if str(ready.path) == "g::a"]
    again = drive.orders[passes[1] :]
    assert {str(ready.path): str(ready.failed) for ready in again if ready.failure} == shown


def test_final_conflict_is_a_failure_of_the_group_and_its_new_pass_keeps_the_tree() -> None:
    both = group("g", agent("a"), agent("b"), parallel=True, on_failure=flat(2, "same: 2"))
    drive = Drive((both,), {"g::merge[b]": ["conflict"]}).run()
    assert [settled.verdict for settled in drive.settled][:4] == ["passed", "passed", "passed", "again"]
    assert [(str(path), type(decision)) for path, decision in drive.settled[3].decisions] == [
        ("g::b", Stop), ("g", Retry),
    ]  # fmt: skip
    assert [(str(ready.path), ready.base) for ready in drive.orders[4:]] == [
        ("g::a", "g::merge[a]#1"),
        ("g::merge[a]", "g::merge[a]#1"),
        ("g::b", "g::merge[a]#1"),
        ("g::merge[b]", "g::merge[a]#2"),
    ]


def test_failures_passed_to_a_hook_have_the_numbers_of_their_attempts() -> None:
    seen: list[tuple[str, list[int]]] = []

    def hook(_: Step, path: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
        seen.append((str(path), [failure.attempt for failure in failures]))
        return own

    member = agent("b", on_failure=flat(3, "same: 3"))
    both = group("g", agent("a"), member, parallel=True, on_failure=flat(2, "same: 2"))
    Drive((both,), {"g::b": ["gate_failed"], "g::merge[b]": ["conflict", "conflict"]}, decide=hook).run()
    assert seen == [("g::b", [1]), ("g::b", [1, 1]), ("g::b", [1, 1, 2]), ("g", [1])]


def test_merge_after_a_conflict_waits_until_the_member_passes_again() -> None:
    both = group("g", agent("a", on_failure=flat(2)), parallel=True)
    drive = Drive((both, agent("z")), {"g::merge[a]": ["conflict"]})
    drive.step()
    settled = drive.step()
    assert settled.verdict == "again"
    assert drive.statuses == {"g::a": "running", "g::merge[a]": "pending", "z": "pending"}
    assert {str(path) for path in drive.schedule.living()} == {"g::a"}
    assert drive.run().schedule.passed


def test_conflict_is_passed_only_to_the_item_of_the_last_writer() -> None:
    plans = {"p": plan("x", "y"), "q": plan("one", "two")}
    parts = group("parts", agent("do", on_failure=flat(2)), foreach="q")
    steps = agent("p", output="plan"), agent("q", output="plan"), group("b", parts, foreach="p", parallel=True)
    drive = Drive(steps, {"b::merge[y]": ["conflict"]}, plans).run()
    assert drive.schedule.passed
    shown = {str(ready.path): (str(ready.failed), ready.attempt) for ready in drive.orders if ready.failure}
    assert shown == {"b::parts::do[y--two]": ("b::merge[y]", 2)}


def test_failure_count_of_a_step_is_kept_after_conflicts_of_groups_around_it() -> None:
    last = agent("y", on_failure=flat(2, "same: 2"))
    inner = group("inner", agent("x", on_failure=flat(3)), last, parallel=True)
    steps = (group("outer", group("left", agent("l")), group("right", inner), parallel=True),)
    fails = {
        "outer::merge[right]": ["conflict"],
        "outer::right::inner::merge[x]": ["passed", "conflict"],
        "outer::right::inner::y": ["passed", "gate_failed"],
    }
    drive = Drive(steps, fails).run()
    assert drive.schedule.reason == "outer::right::inner::y failed: gate_failed"
    assert drive.log.count("outer::right::inner::y 2 haiku") == 1


def test_new_pass_after_a_conflict_resets_the_failure_count_of_the_step() -> None:
    member = group("member", agent("a", on_failure=flat(2, "same: 2")), on_failure=flat(2, "same: 2"))
    fails = {"g::merge[member]": ["conflict"], "g::member::a": ["passed", "gate_failed", "gate_failed"]}
    drive = Drive((group("g", member, parallel=True),), fails).run()
    assert [settled.verdict for settled in drive.settled] == ["passed", "again", "again", "retried", "passed", "passed"]


def test_failure_count_of_a_group_is_kept_after_a_conflict() -> None:
    """Otherwise, a conflict and a new pass could reset the counts of each other forever."""
    member = group("member", agent("a", on_failure=flat(2, "same: 2")), on_failure=flat(2, "same: 2"))
    fails = {"g::merge[member]": ["conflict"], "g::member::a": ["gate_failed", "gate_failed", "passed", "gate_failed"]}
    drive = Drive((group("g", member, parallel=True),), fails).run()
    assert drive.log == [
        *(f"g::member::a {n} haiku" for n in (1, 2, 3)),
        "g::merge[member] 1 -",
        "g::member::a 4 haiku",
    ]
    assert not drive.schedule.passed


def test_member_of_a_parallel_group_cannot_restart_another_member() -> None:
    both = group("g", agent("a", on_failure=flat(2)), agent("b"), parallel=True)
    drive = Drive((both,), {"g::a": ["gate_failed"]}, decide=lambda *_: Restart("b"))
    drive.schedule.ready()
    with pytest.raises(ValueError, match="cannot restart g::a from 'b'"):
        drive.step()


@pytest.mark.parametrize(("outcome", "verdict"), [("passed", "passed"), ("gate_failed", "again")])
def test_step_is_skipped_if_a_part_of_its_replan_ends_after_the_run_failed(outcome: str, verdict: str) -> None:
    both = group("g", agent("a", on_failure=flat(2, "same", "replan: opus")), agent("b"), parallel=True)
    drive = Drive((both,), {"g::a": ["gate_failed"]})
    drive.step()
    part, other = drive.schedule.ready()
    for ready in (part, other):
        drive.schedule.start(ready.path)
    drive.schedule.complete(*ended(other.path, 1, "gate_error"), drive.decide)
    assert drive.statuses["g::a"] == "running"
    late = drive.schedule.complete(*ended(part.path, 1, outcome, plan=plan("x")), drive.decide)
    step = StepPath(("g", "a"))
    assert (late.verdict, late.skipped, late.step, late.failed) == (verdict, (step,), step, ())
    assert (drive.statuses["g::a"], drive.schedule.done) == ("skipped", True)


def test_step_is_skipped_if_the_gates_of_its_replan_end_after_the_run_failed() -> None:
    both = group("g", agent("a", on_failure=flat(2, "same", "replan: opus")), agent("b"), parallel=True)
    drive = Drive((both,), {"g::a": ["gate_failed"]}, {"g::a--replan::plan": plan("x")})
    for _ in range(3):
        drive.step()
    check, other = drive.schedule.ready()
    assert check.role == "replan-check"
    for ready in (check, other):
        drive.schedule.start(ready.path)
    drive.schedule.complete(*ended(other.path, 1, "gate_error"), drive.decide)
    late = drive.schedule.complete(*ended(check.path, 2), drive.decide)
    assert (late.verdict, late.skipped, drive.statuses["g::a"]) == ("passed", (StepPath(("g", "a")),), "skipped")


def test_run_aborted_in_a_replan_names_the_step_and_not_the_part() -> None:
    drive = Drive((agent("a", on_failure=flat(2, "same", "replan: opus")),), {"a": ["gate_failed"]})
    drive.step()
    (part,) = drive.schedule.ready()
    drive.schedule.start(part.path)
    assert drive.schedule.abort("interrupted") == (StepPath(("a",)),)


def test_failures_of_a_parallel_group_have_the_number_of_the_pass() -> None:
    seen: list[list[int]] = []

    def hook(_: Step, path: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
        if str(path) == "g":
            seen.append([failure.attempt for failure in failures])
        return own

    both = group("g", agent("a"), agent("b"), parallel=True, on_failure=flat(3, "same: 3"))
    drive = Drive((both,), {"g::a": ["gate_failed"] * 2, "g::b": ["passed", "gate_failed"]}, decide=hook).run()
    assert seen == [[1], [1, 2]]
    second = [ready for ready in drive.orders if str(ready.path) == "g::a"][1]
    assert second.base == "g::merge[b]#1"


def test_failure_of_a_parallel_group_has_the_failing_gates_and_the_trees_of_all_members() -> None:
    entry = Entry("escalate", "opus", when=When(gate=("lint",)))
    both = group("g", agent("a"), agent("b"), parallel=True, on_failure=OnFailure(flat=Policy(9, (Entry(), entry))))
    schedule, seen = Schedule(Workflow(name="w", steps=(both,)), base="base"), []

    def hook(_: Step, path: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
        seen.extend([failures[-1]] if str(path) == "g" else [])
        return own

    def fail(number: int, tree: str) -> Decision:
        for name, failing in (("a", "no_change"), ("b", "lint: strict")):
            outcome = "no_change" if name == "a" else "gate_failed"
            more = {"failing": failing, "tree": name + (tree if name == "b" else "")}
            settled = schedule.complete(*ended(StepPath(("g", name)), number, outcome, "haiku", **more), hook)
        return settled.decisions[-1][1]

    assert fail(1, "1") == Retry("opus", "fresh", "reset")
    assert fail(2, "2") == Retry(), "the second member made progress"
    assert fail(3, "2") == Stop("no progress: the same tree and the same failing checks twice in a row", "no_progress")
    assert (seen[0].failing, seen[0].tree, seen[0].outcome) == (("no_change", "lint: strict"), "a b1", "no_change")


def test_member_is_done_after_its_inner_parallel_group_has_passed() -> None:
    inner = group("inner", agent("a"), agent("b"), parallel=True)
    drive = Drive((group("outer", group("left", inner), agent("right"), parallel=True),))
    while not any(str(ready.path) == "outer::merge[left]" for ready in drive.schedule.ready()):
        drive.step()
    assert {str(path) for path in drive.schedule.living()} == {"outer::right"}


@pytest.mark.parametrize("step", ["g", "g::check", "g::review", "g::ship"])
def test_only_a_step_that_changes_files_can_be_replanned(step: str) -> None:
    """Otherwise, a review without a verdict or a step without an approval would pass after the items of the replan."""

    def hook(_: Step, path: StepPath, __: Sequence[Failure], own: Decision) -> Decision:
        return Replan("opus") if str(path) == step else own

    twice = flat(2, "same: 2")
    members = (
        agent("a"),
        gate("check", on_failure=twice),
        agent("review", output="review", on_failure=twice),
        Step(name="ship", approve=Approval(), on_failure=twice),
    )
    steps = (group("g", *members, on_failure=twice),)
    failing = "g::check" if step == "g" else step
    drive = Drive(steps, {failing: ["gate_failed"] * 2}, decide=hook)
    with pytest.raises(
        ValueError, match=f"^{step} cannot be replanned: only a step with an agent and 'output: diff' can"
    ):
        drive.run()


def test_outcome_of_a_hook_is_used_only_if_the_group_does_not_continue() -> None:
    names: list[str] = []

    def hook(step: Step, path: StepPath, _: Sequence[Failure], own: Decision) -> Decision:
        names.append(step.name)
        return Stop("mine", "no_progress") if path.name == "a" else own

    drive = Drive((group("g", agent("a"), on_failure=flat(2, "same: 2")),), {"g::a": ["gate_failed"] * 2}, decide=hook)
    first, second = drive.step(), drive.step()
    assert (first.verdict, first.outcome, first.reason) == ("again", "gate_failed", "g::a attempt 1")
    assert (second.verdict, second.outcome, second.reason) == ("failed", "no_progress", "mine")
    assert names == ["a", "g"] * 2


def test_reason_of_a_failure_is_kept() -> None:
    drive = Drive((agent("a"),), {"a": ["gate_failed"]}).run()
    assert (drive.settled[-1].reason, drive.settled[-1].why) == ("a attempt 1", "")


def test_restart_from_an_earlier_step_resets_its_list() -> None:
    steps = (
        agent("a", on_failure=flat(5, "same", "escalate: sonnet", "escalate: opus")),
        agent("b", on_failure=flat(2, "same", restart_from="a")),
    )
    drive = Drive(steps, {"a": ["gate_failed", "passed", "gate_failed"], "b": ["gate_failed"]}).run()
    assert drive.log == ["a 1 haiku", "a 2 sonnet", "b 1 haiku", "a 3 haiku", "a 4 sonnet", "b 2 haiku"]


def test_each_part_of_a_replan_can_crash_once() -> None:
    part = "a--replan::item[one]"
    fails = {"a": ["gate_failed"], "a--replan::plan": ["crashed", "passed"], part: ["crashed", "passed"]}
    drive = Drive((agent("a", on_failure=flat(2, "same", "replan: opus")),), fails).run()
    assert [settled.verdict for settled in drive.settled] == [
        "escalated",
        "retried",
        "passed",
        "retried",
        *["passed"] * 3,
    ]
    assert [settled.step for settled in drive.settled[2:]] == [
        StepPath(("a",)), None, StepPath(("a",)), StepPath(("a",)), None,
    ]  # fmt: skip


def test_replans_of_two_steps_have_separate_numbers() -> None:
    steps = [agent(name, on_failure=flat(2, "same", "replan: opus")) for name in ("a", "b")]
    drive = Drive((*steps,), {"a": ["gate_failed"], "b": ["gate_failed"]}).run()
    assert [line for line in drive.log if "plan " in line] == ["a--replan::plan 1 opus", "b--replan::plan 1 opus"]


@pytest.mark.parametrize(
    ("outcome", "gates", "source", "gate_name", "failing"),
    [
        ("gate_failed", {"test": "failed", "lint: src": "failed"}, "gate_fail", "test", ("test", "lint: src")),
        ("gate_failed", {"compile": "passed", "lint: a: b": "failed"}, "gate_fail", "lint", ("lint: a: b",)),
        ("gate_error", {"test": "skipped", "lint": "error"}, "gate_fail", "lint", ("lint",)),
        ("no_change", {}, "gate_fail", None, ("no_change",)),
        ("guard", {}, "guard_fail", None, ()),
        ("review_failed", {}, "review_fail", None, ()),
        ("agent_error", {}, "gate_fail", None, ()),
    ],
)
def test_failure_has_source_gate_and_failing_checks_of_the_attempt(
    outcome: str, gates: dict[str, str], source: str, gate_name: str | None, failing: tuple[str, ...]
) -> None:
    results = tuple(GateResult(name, status) for name, status in gates.items())  # type: ignore[arg-type]
    done = ended(
        StepPath(("a",)), 3, outcome, "haiku", commit="t", reason="why", gates=results, guard="max_time", final=True
    )
    failure = Failure(
        3, outcome, source, "why", "haiku", gate_name, failing, "max_time", "t", final=True,  # type: ignore[arg-type]
    )  # fmt: skip
    assert failure_of(done.result) == failure


def test_failures_of_a_group_are_counted_across_its_restarts() -> None:
    steps = (agent("design"), group("g", agent("a"), on_failure=flat(2, "same", restart_from="design")))
    drive = Drive(steps, {"g::a": ["gate_failed"] * 3}).run()
    assert drive.log == ["design 1 haiku", "g::a 1 haiku", "design 2 haiku", "g::a 2 haiku"]
    assert not drive.schedule.passed


def test_each_member_starts_a_fresh_session_in_a_fresh_pass() -> None:
    members = group("left", agent("a"), agent("b")), agent("c")
    both = group("g", *members, parallel=True, on_failure=flat(2, "same", "escalate: opus"))
    drive = Drive((both,), {"g::c": ["gate_failed"]}).run()
    again = {str(ready.path): ready.session for ready in drive.orders if ready.attempt == 2 and ready.mode == "diff"}
    assert again == {"g::left::a": "fresh", "g::left::b": "policy", "g::c": "fresh"}


def test_all_notes_of_a_failure_are_kept() -> None:
    items = tuple(PlanItem(name, name, files=("src/",)) for name in ("x", "y"))
    build = group("b", agent("a"), foreach="p", parallel=True, on_failure=flat(2, "same: 2"))
    drive = Drive((agent("p", output="plan"), build), {"b::a[y]": ["gate_failed"]}, {"p": items})
    drive.decide = lambda _, path, __, own: Retry() if path.name == "a" else own
    drive.run()
    (noted,) = [settled.notes for settled in drive.settled[1:] if settled.notes]
    assert [note.split()[0] for note in noted] == ["the", "b:"]
