"""The fields of orders in the course of a run: agent, trees, entry, session, failure and items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.decision import Replan, Retry
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import GateSpec, OnFailure

from tests.engine.schedule_kit import Drive, agent, entries, flat, group, plan, policy

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.workflow.model import Entry

GATES = (GateSpec(name="test"),)


def facts(ready: Ready) -> str:
    """Return `impl[one] 2: haiku diff, left of base, same resume`, then role, failure, items and prompt if set."""
    parts = [
        f"{ready.path} {ready.attempt}: {ready.agent or 'nobody'} {ready.mode}",
        f"{ready.base} of {ready.step_base}",
        f"{ready.entry} {ready.session}",
        *([ready.role] if ready.role != "step" else []),
        *([f"failed {ready.failed} {ready.failure.attempt}"] if ready.failure else []),
        *([f"items {'+'.join(item.slug for item in ready.items)}"] if ready.items else []),
        *([f"keep {ready.keep_item.slug}"] if ready.keep_item else []),
        *([f"theirs {ready.theirs}"] if ready.theirs else []),
        *([f"prompt {ready.prompt}"] if ready.prompt is not None else []),
    ]
    assert (ready.failed is None) == (ready.failure is None)
    return ", ".join(parts)


def started(drive: Drive, *, skip: int = 0) -> list[str]:
    return [facts(ready) for ready in drive.run().orders[skip:]]


def strategy(*listed: Entry, retry: int = 9) -> OnFailure:
    return OnFailure(flat=replace(policy(retry), strategy=(*entries("same"), *listed)))


ESCALATE, REPLAN = entries("escalate: sonnet")[1], entries("replan: opus")[1]


def test_replan_resets_the_tree_and_a_part_without_files_keeps_the_plan_item() -> None:
    build = group("b", agent("impl", on_failure=strategy(REPLAN)), foreach="p")
    parts = (PlanItem("u", "u", files=("u.py",)), PlanItem("v", "v"))
    plans = {"p": plan("x"), "b::impl--replan::plan[x]": parts}
    drive = Drive((agent("p", output="plan"), build), {"b::impl[x]": ["gate_failed"]}, plans)
    item = "b::impl--replan::item"
    assert started(drive, skip=1) == [
        "b::impl[x] 1: haiku diff, base of base, first policy, items x, keep x",
        "b::impl--replan::plan[x] 1: opus plan, base of base, replan fresh, replan-plan, failed b::impl[x] 1, items x, keep x",
        f"{item}[x--u] 1: haiku diff, base of base, replan fresh, replan-item, items x+u, keep u",
        f"{item}[x--v] 1: haiku diff, {item}[x--u]#1 of {item}[x--u]#1, replan fresh, replan-item, items x+v, keep x",
        f"b::impl[x] 2: nobody gate, {item}[x--v]#1 of base, replan policy, replan-check, items x, keep x",
    ]


def test_replan_can_keep_the_tree_and_the_session_and_have_a_prompt() -> None:
    kept = replace(REPLAN, worktree="keep", session="resume", prompt="split it")
    drive = Drive((agent("a"), agent("impl", on_failure=strategy(kept))), {"impl": ["gate_failed"]})
    one, two = "impl--replan::item[one]", "impl--replan::item[two]"
    assert started(drive, skip=2) == [
        "impl--replan::plan 1: opus plan, impl#1 of impl#1, replan resume, replan-plan, failed impl 1, prompt split it",
        f"{one} 1: haiku diff, impl#1 of impl#1, replan fresh, replan-item, items one, keep one",
        f"{two} 1: haiku diff, {one}#1 of {one}#1, replan fresh, replan-item, items two, keep two",
        f"impl 2: nobody gate, {two}#1 of a#1, replan policy, replan-check",
    ]


def test_parts_of_a_replan_have_their_own_numbers_that_never_repeat() -> None:
    fails = {"impl": ["gate_failed"], "impl--replan::item[one]": ["guard"]}
    drive = Drive((agent("impl", on_failure=strategy(REPLAN)),), fails).run()
    assert drive.log == [
        "impl 1 haiku",
        "impl--replan::plan 1 opus",
        "impl--replan::item[one] 1 haiku",
        "impl--replan::plan 2 opus",
        "impl--replan::item[one] 2 haiku",
        "impl--replan::item[two] 1 haiku",
        "impl 3 -",
    ]


def test_gates_of_a_group_have_the_tree_and_the_base_of_the_group() -> None:
    inner = group("g", agent("t"), gate=GATES, on_failure=flat(2, "same", "escalate: sonnet"))
    steps = agent("p", output="plan"), group("b", agent("a"), inner, foreach="p")
    drive = Drive(steps, {"b::g::gate[y]": ["gate_failed"]}, {"p": plan("x", "y")})
    assert started(drive, skip=3) == [
        "b::g::gate[x] 1: nobody gate, b::g::t[x]#1 of b::a[x]#1, first policy, gate, items x",
        "b::a[y] 1: haiku diff, b::g::t[x]#1 of b::g::t[x]#1, first policy, items y, keep y",
        "b::g::t[y] 1: haiku diff, b::a[y]#1 of b::a[y]#1, first policy, items y, keep y",
        "b::g::gate[y] 1: nobody gate, b::g::t[y]#1 of b::a[y]#1, first policy, gate, items y",
        "b::g::t[y] 2: sonnet diff, b::a[y]#1 of b::a[y]#1, group fresh, failed b::g::gate[y] 1, items y, keep y",
        "b::g::gate[y] 2: nobody gate, b::g::t[y]#2 of b::a[y]#1, group policy, gate, items y",
    ]


def test_member_restarts_on_the_merged_tree_after_a_conflict() -> None:
    build = group("b", agent("t"), agent("i", on_failure=flat(4, "same: 4")), foreach="p", parallel=True)
    escalated = iter([Retry("sonnet", worktree="reset"), Retry()])
    fails = {"b::i[y]": ["gate_failed"], "b::merge[y]": ["conflict"]}
    drive = Drive((agent("p", output="plan"), build), fails, {"p": plan("x", "y")}, lambda *_: next(escalated))
    assert started(drive, skip=6) == [
        "b::i[y] 2: sonnet diff, b::t[y]#1 of b::t[y]#1, escalate fresh, failed b::i[y] 1, items y, keep y",
        "b::merge[y] 1: nobody merge, b::merge[x]#1 of base, first policy, merge, theirs b::i[y]#2",
        "b::t[y] 2: haiku diff, b::merge[x]#1 of b::merge[x]#1, restart fresh, failed b::merge[y] 1, items y, keep y",
        "b::i[y] 3: sonnet diff, b::t[y]#2 of b::t[y]#2, restart policy, items y, keep y",
        "b::merge[y] 2: nobody merge, b::merge[x]#1 of b::merge[x]#1, first policy, merge, theirs b::i[y]#3",
    ]


def test_replan_requested_by_a_hook_resets_the_tree_in_a_fresh_session() -> None:
    drive = Drive((agent("a"), agent("impl", on_failure=flat(2))), {"impl": ["gate_failed"]})
    drive.decide = lambda *_: Replan("opus")
    assert started(drive, skip=2)[0] == (
        "impl--replan::plan 1: opus plan, a#1 of a#1, replan fresh, replan-plan, failed impl 1"
    )


def test_new_pass_of_a_foreach_starts_each_item_on_the_tree_of_the_one_before() -> None:
    build = group("b", agent("t"), foreach="p", on_failure=flat(2, "same: 2"))
    drive = Drive((agent("p", output="plan"), build), {"b::t[y]": ["gate_failed"]}, {"p": plan("x", "y")})
    assert started(drive, skip=3) == [
        "b::t[x] 2: haiku diff, b::t[y]#1 of b::t[y]#1, group resume, items x, keep x",
        "b::t[y] 2: haiku diff, b::t[x]#2 of b::t[x]#2, group resume, failed b::t[y] 1, items y, keep y",
    ]


def test_merge_inside_a_plan_item_has_the_item_without_its_files() -> None:
    both = group("g", agent("a"), agent("r", output="review"), parallel=True)
    drive = Drive((agent("p", output="plan"), group("b", both, foreach="p")), {}, {"p": plan("x")})
    assert started(drive, skip=1) == [
        "b::g::a[x] 1: haiku diff, base of base, first policy, items x, keep x",
        "b::g::merge[x--a] 1: nobody merge, base of base, first policy, merge, items x, theirs b::g::a[x]#1",
        "b::g::r[x] 1: haiku review, base of base, first policy, items x, keep x",
    ]
    assert drive.orders[2].step.name == "merge"


def test_overlapping_restarts_continue_after_the_last_step_that_restarted() -> None:
    steps = (
        agent("z"),
        agent("a"),
        agent("b", on_failure=flat(2, "same", restart_from="a")),
        agent("c", on_failure=flat(2, "same", restart_from="a")),
        agent("d"),
    )
    drive = Drive(steps, {"b": ["passed", "gate_failed"], "c": ["gate_failed"]})
    assert started(drive, skip=4) == [
        "a 2: haiku diff, z#1 of z#1, restart fresh, failed c 1",
        "b 2: haiku diff, a#2 of a#2, restart policy",
        "a 3: haiku diff, z#1 of z#1, restart fresh, failed b 2",
        "b 3: haiku diff, a#3 of a#3, restart policy",
        "c 2: haiku diff, b#3 of b#3, restart policy",
        "d 1: haiku diff, c#2 of c#2, first policy",
    ]
