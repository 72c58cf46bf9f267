from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_gump.workflow.model import Call, Step, Workflow
from pytest_gump.workflow.refs import (
    AmbiguousStepError,
    UnknownStepError,
    iter_references,
    output_step,
    split_state,
)

from tests.kits.references import resolve_step
from tests.workflow.loading import load

WORKFLOW = load("""\
name: flow
steps:
  - {name: plan, agent: claude-opus, output: plan}
  - name: a
    foreach: plan
    steps:
      - {name: tests, agent: claude-haiku}
      - name: deep
        steps:
          - {name: impl, agent: claude-haiku, prompt: "{steps.tests.files} {steps.plan.output} {error}"}
      - {name: only, agent: claude-haiku}
  - name: b
    steps:
      - {name: tests, agent: claude-haiku}
      - {name: impl, agent: claude-haiku, prompt: "{{steps.x.output}} {steps.a.tests.cost}"}
      - {name: plan, agent: claude-opus, output: plan}
  - {name: end, agent: claude-haiku, context: [{file: "{steps.b.tests.files}"}]}
""").workflow


@pytest.mark.parametrize(
    ("scope", "ref", "path"),
    [
        ("a::tests", "tests", "a::tests"),
        ("a::deep::impl", "tests", "a::tests"),
        ("b::impl", "tests", "b::tests"),
        ("b::impl", "plan", "b::plan"),
        ("a::deep::impl", "plan", "plan"),
        ("a", "plan", "plan"),
        ("end", "only", "a::only"),
        ("end", "deep.impl", "a::deep::impl"),
        ("end", "a.tests", "a::tests"),
        ("end", "b::tests", "b::tests"),
        ("a::deep::impl", "impl", "a::deep::impl"),
        ("b::tests", "impl", "b::impl"),
    ],
)
def test_the_nearest_enclosing_scope_wins(scope: str, ref: str, path: str) -> None:
    assert resolve_step(WORKFLOW, tuple(scope.split("::")), ref) == path


def test_a_name_of_several_steps_elsewhere_is_ambiguous() -> None:
    with pytest.raises(AmbiguousStepError) as caught:
        resolve_step(WORKFLOW, ("end",), "tests")
    assert caught.value.candidates == ("a.tests", "b.tests")
    assert str(caught.value) == "tests"


CALL = Call("inner", "inner", {}, {"x": "{steps.plan.output}"})
INNER = (Step(name="tests", agent="a"), Step(name="judge", agent="a", prompt="{steps.tests.output}"), Step(name="end"))
DEEP = Step(name="deep", steps=(Step(name="c", call=CALL, steps=INNER),))
CALLING = Workflow(
    name="w",
    steps=(
        Step(name="plan", agent="a"),
        DEEP,
        Step(name="tests", agent="a"),
        Step(name="call", call=CALL, steps=(DEEP,)),
    ),
)


@pytest.mark.parametrize(
    ("scope", "ref", "path"),
    [
        ("plan", "tests", "tests"),
        ("plan", "c::tests", "deep::c::tests"),
        ("plan", "deep.c.judge", "deep::c::judge"),
        ("plan", "call::deep::c::tests", "call::deep::c::tests"),
        ("deep::c", "tests", "tests"),
        ("deep::c::judge", "tests", "deep::c::tests"),
        ("call::deep::c::judge", "tests", "call::deep::c::tests"),
        ("call::deep", "c::tests", "call::deep::c::tests"),
    ],
)
def test_a_called_workflow_is_a_scope_of_its_own(scope: str, ref: str, path: str) -> None:
    assert resolve_step(CALLING, tuple(scope.split("::")), ref) == path


@pytest.mark.parametrize(("scope", "ref"), [("plan", "judge"), ("deep::c::judge", "plan"), ("call::deep", "plan")])
def test_a_name_does_not_lead_into_a_call_or_out_of_it(scope: str, ref: str) -> None:
    with pytest.raises(UnknownStepError):
        resolve_step(CALLING, tuple(scope.split("::")), ref)


def test_the_output_of_a_call_is_that_of_its_last_step_with_an_agent() -> None:
    assert output_step(CALLING.steps, ("deep", "c")) == ("deep", "c", "judge")
    assert output_step(CALLING.steps, ("call",)) == ("call", "deep", "c", "judge")
    assert output_step(CALLING.steps, ("deep",)) == ("deep",)
    assert output_step(CALLING.steps, ("nothing",)) == ("nothing",)


def test_the_references_of_a_call_are_those_of_its_values_and_of_its_steps() -> None:
    found = [(one.step, one.key, one.resolved) for one in iter_references(replace(CALLING, steps=CALLING.steps[:3]))]
    assert found == [("deep::c", "with", "plan"), ("deep::c::judge", "prompt", "deep::c::tests")]


@pytest.mark.parametrize("ref", ["nothing", "b.only", "", ".", "a.", "a..tests"])
def test_an_unknown_name_is_refused(ref: str) -> None:
    with pytest.raises(UnknownStepError) as caught:
        resolve_step(WORKFLOW, ("end",), ref)
    assert str(caught.value) == ref


def test_a_name_inside_and_outside_a_group_is_ambiguous() -> None:
    with pytest.raises(AmbiguousStepError):
        resolve_step(WORKFLOW, ("a",), "tests")


def test_references_are_listed_with_their_meaning() -> None:
    assert [tuple(reference) for reference in iter_references(WORKFLOW)] == [
        ("a::deep::impl", "prompt", "steps.tests.files", "a::tests", "files"),
        ("a::deep::impl", "prompt", "steps.plan.output", "plan", "output"),
        ("b::impl", "prompt", "steps.a.tests.cost", "a::tests", "cost"),
        ("end", "context", "steps.b.tests.files", "b::tests", "files"),
    ]


def test_the_diff_of_a_step_is_an_alias_of_its_output() -> None:
    flow = load("""\
name: flow
steps:
  - {name: a, agent: claude-haiku}
  - {name: b, agent: claude-haiku, prompt: "{steps.a.diff}"}
""").workflow
    (reference,) = iter_references(flow)
    assert (reference.written, reference.resolved, reference.field) == ("steps.a.diff", "a", "output")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("steps.a.output", ("a", "output")),
        ("steps.a.b.cost", ("a.b", "cost")),
        ("steps.a.diff", ("a", "output")),
        ("steps.diff.files", ("diff", "files")),
        ("steps.a", None),
        ("steps.", None),
        ("steps", None),
        ("run.cost", None),
        ("item.steps.a.output", None),
    ],
)
def test_a_reference_names_a_step_and_a_field(name: str, split: tuple[str, str] | None) -> None:
    assert split_state(name) == split


def test_prompts_of_a_strategy_contain_references() -> None:
    flow = load("""\
name: flow
steps:
  - {name: a, agent: claude-haiku}
  - name: b
    agent: claude-haiku
    prompt: "{steps.a.files}"
    context: [{bash: "echo {steps.a.files}"}, {file: "notes.md"}]
    on_failure:
      retry: 3
      strategy: [same, {escalate: claude-opus}, {escalate: claude-sonnet, prompt: "{steps.a.diff} {steps.b.cost}"}]
""").workflow
    assert [tuple(reference) for reference in iter_references(flow)] == [
        ("b", "prompt", "steps.a.files", "a", "files"),
        ("b", "strategy", "steps.a.diff", "a", "output"),
        ("b", "strategy", "steps.b.cost", "b", "cost"),
    ]
