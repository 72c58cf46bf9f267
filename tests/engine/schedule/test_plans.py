"""The plan of a foreach, and notes on plan items that may change the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import AgentOf, GateSpec

from tests.engine.schedule_kit import Drive, agent, ended, flat, group, own_policy, plan

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Step

PLAN = agent("p", output="plan")


def notes(*files: str, parallel: bool = True, overlap: str = "report") -> list[str]:
    """Return the notes on a plan whose items have one pattern each."""
    items = tuple(PlanItem(f"i{number}", f"i{number}", files=(pattern,)) for number, pattern in enumerate(files))
    build = group("b", agent("a"), foreach="p", parallel=parallel, overlap=overlap)
    drive = Drive((PLAN, build), plans={"p": items}).run()
    assert all(not settled.notes for settled in drive.settled[1:])
    return drive.settled[0].notes


def test_plan_items_that_may_change_the_same_files_are_noted() -> None:
    found = "b: items i0 and i2 may both change src/a.py"
    assert notes("src/*.py", "docs/a.md", "src/a.py") == [found]
    assert notes("src/*.py", "docs/a.md", "src/a.py", overlap="serialize") == [
        f"{found}, so the second waits for the first"
    ]


def test_serial_plan_items_are_not_compared() -> None:
    assert notes("src/*.py", "src/a.py", parallel=False) == []


@pytest.mark.parametrize(("items", "pairs"), [(1, 0), (3, 3), (4, 6), (5, 10)])
def test_first_five_pairs_are_named(items: int, pairs: int) -> None:
    found = notes(*["src/a.py"] * items)
    assert len(found) == min(pairs, 6)
    assert all(line.startswith("b: items i") for line in found[:5])
    assert (found[5:] == ["and there are more"]) == (pairs > 5)


def test_exactly_five_pairs_are_all_named() -> None:
    found = notes(*[f"/{name}/x.py" for name in "abcde"], *[f"/{name}/" for name in "abcde"])
    assert found == [
        f"b: items i{first} and i{first + 5} may both change /{name}/" for first, name in enumerate("abcde")
    ]


def test_declared_steps_are_not_compared() -> None:
    drive = Drive((group("g", agent("a"), agent("b"), parallel=True),)).run()
    assert [settled.notes for settled in drive.settled] == [[]] * len(drive.settled)


def test_nested_foreach_uses_the_plan_of_the_items_around_it() -> None:
    inner = group("inner", agent("do"), foreach="split")
    middle = group("middle", inner, foreach="q")
    build = group("b", agent("split", output="plan"), middle, foreach="p")
    plans = {"p": plan("x", "y"), "q": plan("m"), "b::split[x]": plan("one"), "b::split[y]": plan("two", "three")}
    drive = Drive((PLAN, agent("q", output="plan"), build), plans=plans).run()
    assert [str(ready.path) for ready in drive.orders[2:]] == [
        "b::split[x]",
        "b::middle::inner::do[x--m--one]",
        "b::split[y]",
        "b::middle::inner::do[y--m--two]",
        "b::middle::inner::do[y--m--three]",
    ]


def test_passed_plan_step_without_a_plan_is_an_error() -> None:
    drive = Drive((PLAN, group("b", agent("a"), foreach="p")))
    (ready,) = drive.schedule.ready(1)
    done = ended(ready.path, ready.attempt)
    with pytest.raises(ValueError, match="no plan for b: "):
        drive.schedule.complete(*done, own_policy)


def test_steps_of_an_empty_plan_are_skipped_and_the_next_step_starts() -> None:
    build = group("b", agent("a"), group("g", agent("c")), foreach="p", gate=(GateSpec("test"),))
    drive = Drive((PLAN, build, agent("last")), plans={"p": ()}).run()
    assert [str(ready.path) for ready in drive.orders] == ["p", "b::gate", "last"]
    first = drive.settled[0]
    assert first.notes == ["the plan is empty, so b has nothing to do"]
    assert (list(map(str, first.skipped)), first.skip_reason) == (["b::a[*]", "b::g::c[*]"], "the plan is empty")
    assert {str(leaf.path): leaf.status for leaf in drive.schedule.leaves()} == {
        "p": "passed", "b::a[*]": "skipped", "b::g::c[*]": "skipped", "b::gate": "passed", "last": "passed",
    }  # fmt: skip


def test_steps_of_an_empty_plan_are_skipped_only_once() -> None:
    build = group("b", agent("a"), foreach="p", parallel=True)
    outer = group("o", PLAN, build, agent("x"), on_failure=flat(2))
    drive = Drive((outer,), fails={"o::x": ["gate_failed"] * 2}, plans={"o::p": ()}).run()
    assert not drive.schedule.passed
    assert [str(ready.path) for ready in drive.orders] == ["o::p", "o::x", "o::p", "o::x"]
    assert [len(settled.skipped) for settled in drive.settled] == [1, 0, 0, 0]


def follower(name: str, of: str, **keys: Any) -> Step:
    """Return a step whose agent is that of another one, which is declared with `haiku`."""
    return agent(name, agent_of=AgentOf(of, ("sonnet",)), **keys)


def test_step_uses_the_agent_with_which_another_one_has_passed() -> None:
    work = agent("work", on_failure=flat(2, "same", "escalate: sonnet"))
    drive = Drive((work, follower("rest", "work")), fails={"work": ["gate_failed"]}).run()
    assert drive.log == ["work 1 haiku", "work 2 sonnet", "rest 1 sonnet"]
    assert Drive((work, follower("rest", "work"))).run().log == ["work 1 haiku", "rest 1 haiku"]


def test_step_of_a_plan_item_uses_the_agent_of_the_same_item() -> None:
    work = agent("work", on_failure=flat(2, "same", "escalate: sonnet"))
    build = group("b", work, follower("rest", "work"), foreach="p")
    log = Drive((PLAN, build), fails={"b::work[two]": ["gate_failed"]}).run().log
    assert [line for line in log if "rest" in line] == ["b::rest[one] 1 haiku", "b::rest[two] 1 sonnet"]


def test_escalation_of_a_group_or_of_the_step_itself_replaces_the_agent_of_another_step() -> None:
    rest = follower("rest", "work", on_failure=flat(2, "same", "escalate: opus"))
    fails = {"g::rest": ["gate_failed", "gate_failed"]}
    both = group("g", rest, on_failure=flat(2, "same", "escalate: codex"))
    log = Drive((agent("work"), both), fails=fails).run().log
    assert log == ["work 1 haiku", "g::rest 1 haiku", "g::rest 2 opus", "g::rest 3 codex"]


def test_restarted_step_uses_the_agent_of_the_newest_passed_attempt() -> None:
    work = agent("work", on_failure=flat(2, "same", "escalate: sonnet"))
    rest = follower("rest", "work", on_failure=flat(3, "same", restart_from="work"))
    fails = {"work": ["gate_failed"], "rest": ["gate_failed"]}
    log = Drive((work, rest), fails=fails).run().log
    assert log == ["work 1 haiku", "work 2 sonnet", "rest 1 sonnet", "work 3 haiku", "rest 2 haiku"]


@pytest.mark.parametrize(
    ("member", "skipped"),
    [
        (group("in", group("each", agent("y"), foreach="p")), "all::in::each::y[*]"),
        (group("each", agent("y"), foreach="p"), "all::each::y[*]"),
    ],
)
def test_members_that_begin_without_items_end_without_an_attempt(member: Step, skipped: str) -> None:
    steps = agent("p", output="plan", allow_empty=True), group("all", member, agent("z"), parallel=True)
    drive = Drive(steps, plans={"p": ()})
    assert [str(path) for path in drive.step().skipped] == [skipped]
    assert [str(ready.path) for ready in drive.schedule.ready()] == ["all::z"]


def test_items_that_begin_without_items_end_without_an_attempt() -> None:
    inner = group("in", group("each", agent("y"), foreach="p"))
    all_ = group("all", inner, foreach="q", parallel=True)
    drive = Drive((agent("p", output="plan", allow_empty=True), agent("q", output="plan"), all_), plans={"p": ()})
    drive.step()
    assert [str(path) for path in drive.step().skipped] == ["all::in::each::y[one--*]", "all::in::each::y[two--*]"]
    assert drive.schedule.passed


def test_members_that_begin_with_items_wait_for_an_executor() -> None:
    each = group("each", agent("y"), foreach="p")
    drive = Drive((agent("p", output="plan"), group("all", each, agent("z"), parallel=True)))
    assert drive.step().skipped == ()
    assert [str(ready.path) for ready in drive.schedule.ready(1)] == ["all::each::y[one]"]
