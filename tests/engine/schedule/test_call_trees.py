"""The change that a called workflow gets as `{diff}`."""

from __future__ import annotations

from typing import Any

from pytest_gump.workflow.model import Call, GateSpec, Step

from tests.engine.schedule_kit import Drive, agent, flat, group, plan

CALL = Call("review", "review.yaml", {}, {})


def call(name: str = "call", *steps: Step, **keys: Any) -> Step:
    return group(name, *(steps or (agent("look", output="artifact"),)), call=CALL, **keys)


def trees(*steps: Step, at: str = "look", **fails: list[str]) -> list[list[tuple[str, ...]]]:
    """Return the trees of all calls around each attempt of the steps with this name."""
    plans = {"p": plan("one", "two")}
    orders = Drive(steps, plans=plans, fails={key: [*value] for key, value in fails.items()}).run().orders
    return [[tuple(trees) for trees in ready.calls] for ready in orders if ready.path.name == at]


def test_change_since_the_run_began() -> None:
    assert trees(agent("a"), agent("b"), call()) == [[("base", "b#1")]]
    assert trees(agent("a"), at="a") == [[]]


def test_change_is_that_at_the_beginning_of_the_call() -> None:
    assert trees(agent("a"), call("call", agent("fix"), agent("look"))) == [[("base", "a#1")]]


def test_change_since_the_item_around_the_call_began() -> None:
    build = group("build", agent("impl"), call(), foreach="p")
    found = trees(agent("p", output="plan"), agent("a"), build)
    assert found == [[("a#1", "build::impl[one]#1")], [("build::impl[one]#1", "build::impl[two]#1")]]


def test_calls_for_each_item_get_the_change_before_the_item() -> None:
    each = call("each", agent("fix"), agent("look"), foreach="p")
    found = trees(agent("a"), agent("p", output="plan"), each)
    assert found == [[("base", "a#1")], [("base", "each::look[one]#1")]]


def test_nested_calls_have_their_own_change() -> None:
    inner = group("within", call("inner"))
    assert trees(agent("a"), call("outer", agent("b"), inner)) == [[("base", "a#1"), ("base", "outer::b#1")]]


def test_second_pass_of_a_call_gets_the_change_with_which_it_began() -> None:
    fixing = call("call", agent("fix"), agent("look"), on_failure=flat(2, "same: 2"))
    drive = Drive((agent("a"), fixing), fails={"call::look": ["gate_failed"]}).run()
    found = [ready.calls for ready in drive.orders if ready.path.name == "look"]
    assert [[tuple(each) for each in calls] for calls in found] == [[("base", "a#1")], [("base", "call::look#1")]]


def test_the_gates_of_a_call_are_outside_of_it() -> None:
    """The calls in a validator, and the validator itself, count too: there are as many as in the path of a step."""
    arch = call("validate-arch", agent("check", output="review"), call("deep", agent("look", output="review")))
    checked = call("outer", agent("b"), gate=(GateSpec("validate", "arch"),), validators=(arch,))
    assert trees(agent("a"), checked, at="gate") == [[]]
    assert [len(trees(agent("a"), checked, at=name)[0]) for name in ("b", "check", "look")] == [1, 1, 2]


def test_a_validator_is_inside_the_calls_around_the_checked_step() -> None:
    arch = call("validate-arch", agent("check", output="review"))
    impl = agent("impl", gate=(GateSpec("validate", "arch"),), validators=(arch,))
    (found,) = trees(agent("a"), call("outer", agent("b"), impl), at="check")
    assert found[0] == ("base", "a#1")
    assert len(found) == 2
