from __future__ import annotations

import pytest
from pytest_gump.workflow.refs import AmbiguousStepError, UnknownStepError, iter_references, resolve_step

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
def test_nearest_enclosing_scope_wins(scope: str, ref: str, path: str) -> None:
    assert resolve_step(WORKFLOW, tuple(scope.split("::")), ref) == path


def test_name_of_several_steps_elsewhere_is_ambiguous() -> None:
    with pytest.raises(AmbiguousStepError) as caught:
        resolve_step(WORKFLOW, ("end",), "tests")
    assert caught.value.candidates == ("a.tests", "b.tests")


@pytest.mark.parametrize("ref", ["nothing", "b.only", "", ".", "a.", "a..tests"])
def test_unknown_name_is_told(ref: str) -> None:
    with pytest.raises(UnknownStepError):
        resolve_step(WORKFLOW, ("end",), ref)


def test_references_are_listed_with_what_they_mean() -> None:
    assert [tuple(reference) for reference in iter_references(WORKFLOW)] == [
        ("a::deep::impl", "prompt", "steps.tests.files", "a::tests", "files"),
        ("a::deep::impl", "prompt", "steps.plan.output", "plan", "output"),
        ("b::impl", "prompt", "steps.a.tests.cost", "a::tests", "cost"),
        ("end", "context", "steps.b.tests.files", "b::tests", "files"),
    ]


def test_diff_of_a_step_is_an_alias_of_its_output() -> None:
    flow = load("""\
name: flow
steps:
  - {name: a, agent: claude-haiku}
  - {name: b, agent: claude-haiku, prompt: "{steps.a.diff}"}
""").workflow
    (reference,) = iter_references(flow)
    assert (reference.written, reference.resolved, reference.field) == ("steps.a.diff", "a", "output")
