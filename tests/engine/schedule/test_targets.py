"""Restarts of a step whose context is the output of a workflow: the calls before it run again."""

from __future__ import annotations

from typing import Any

from pytest_gump.workflow.model import Call, ContextEntry, Step

from tests.engine.schedule_kit import Drive, agent, flat, group, plan


def with_context(step: Step, *workflows: str) -> tuple[Step, ...]:
    """Return the step after the calls of these workflows for its context."""
    calls = tuple(
        group(f"{step.name}--context-{name}", agent("look", "opus", output="artifact"), call=Call(name, name, {}, {}))
        for name in workflows
    )
    keys: dict[str, Any] = {name: getattr(step, name) for name in Step.__slots__}
    context = tuple(ContextEntry(workflow=name, call=call.name) for name, call in zip(workflows, calls, strict=True))
    return (*calls, Step(**{**keys, "context": context}))


def names(drive: Drive) -> list[str]:
    return [f"{ready.path} {ready.attempt}".replace("--context-", "<") for ready in drive.orders]


def test_context_runs_once_before_the_step_and_not_for_each_attempt() -> None:
    steps = with_context(agent("impl", on_failure=flat(3, "same: 3")), "a", "b")
    drive = Drive((agent("z"), *steps), fails={"impl": ["gate_failed", "gate_failed"]}).run()
    assert names(drive) == ["z 1", "impl<a::look 1", "impl<b::look 1", "impl 1", "impl 2", "impl 3"]
    assert [ready.base for ready in drive.orders[1:4]] == ["z#1", "z#1", "z#1"]


def test_context_runs_again_when_the_step_is_entered_again() -> None:
    impl = with_context(agent("impl", on_failure=flat(3, "same", restart_from="impl")), "a", "b")
    drive = Drive(impl, fails={"impl": ["gate_failed"]}).run()
    assert names(drive) == ["impl<a::look 1", "impl<b::look 1", "impl 1", "impl<a::look 2", "impl<b::look 2", "impl 2"]
    check = agent("check", output="review", on_failure=flat(2, "same", restart_from="impl"))
    later = Drive((agent("z"), *with_context(agent("impl"), "a"), check), fails={"check": ["review_failed"]}).run()
    assert names(later) == [
        "z 1", "impl<a::look 1", "impl 1", "check 1", "impl<a::look 2", "impl 2", "check 2",
    ]  # fmt: skip


def test_failure_is_shown_to_the_step_and_not_to_its_context() -> None:
    check = agent("check", output="review", on_failure=flat(2, "same", restart_from="impl"))
    drive = Drive((*with_context(agent("impl"), "a"), check), fails={"check": ["review_failed"]}).run()
    assert [(str(ready.path), str(ready.failed)) for ready in drive.orders[3:5]] == [
        ("impl--context-a::look", "None"),
        ("impl", "check"),
    ]
    build = group("g", *with_context(agent("impl"), "a"), on_failure=flat(2, "same: 2"))
    again = Drive((build,), fails={"g::impl": ["gate_failed"]}).run()
    assert [str(ready.failed) for ready in again.orders] == ["None", "None", "None", "g::impl"]


def test_restarted_step_keeps_its_failures_over_its_context() -> None:
    impl = agent("impl", on_failure=flat(2, "same", restart_from="impl"))
    drive = Drive(with_context(impl, "a"), fails={"impl": ["gate_failed"] * 9}).run()
    assert names(drive) == ["impl<a::look 1", "impl 1", "impl<a::look 2", "impl 2"]
    assert not drive.schedule.passed


def test_context_runs_for_each_plan_item() -> None:
    build = group("b", *with_context(agent("impl"), "a"), foreach="p")
    drive = Drive((agent("p", output="plan"), build), plans={"p": plan("x", "y")}).run()
    assert names(drive)[1:] == ["b::impl<a::look[x] 1", "b::impl[x] 1", "b::impl<a::look[y] 1", "b::impl[y] 1"]


def test_failed_context_ends_the_step_before_its_first_attempt() -> None:
    drive = Drive(with_context(agent("impl"), "a"), fails={"impl--context-a::look": ["agent_error"]}).run()
    assert drive.statuses == {"impl--context-a::look": "failed", "impl": "skipped"}
