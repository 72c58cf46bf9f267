from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.errors import WorkflowError
from pytest_gump.workflow.find import builtin_folder
from pytest_gump.workflow.keys import GuardKeys, PolicyKeys, StepKeys, WorkflowKeys, keys

from tests.kits.examples import examples
from tests.kits.sizes import full_size
from tests.workflow.loading import load

if TYPE_CHECKING:
    from pytest_gump.workflow.loaded import Loaded

SEEDS = [path.read_text(encoding="utf-8") for path in sorted(builtin_folder().glob("*.yaml"))]
KEYS = sorted({
    *keys(WorkflowKeys), *keys(StepKeys), *keys(GuardKeys), *keys(PolicyKeys),
    "gate_fail", "review_fail", "same", "escalate", "replan", "reuse", "file", "bash", "touched", "coverage", "workflow", "with",
})  # fmt: skip
WORDS = [
    "a", "b", "plan", "diff", "review", "fresh", "reuse", "same", "same: 3", "escalate: claude-opus", "claude-haiku", "test",
    "schema", "5m", "tdd", "./tdd.yaml", "x/tdd", "{item.name}", "{steps.a.output}", "{steps.a.b.output}", "{steps..output}", "..", "/", "@tests", "\x00", "",
]  # fmt: skip
values = st.recursive(
    st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)
steps = st.lists(st.dictionaries(st.sampled_from(list(keys(StepKeys))), values, max_size=6), max_size=4)


def loads_or_is_refused(text: str) -> Loaded | None:
    """Fail the test for any error but a WorkflowError with positions inside the file."""
    try:
        return load(text)
    except WorkflowError as error:
        problems = error.problems
    lines = text.count("\n") + 2
    assert problems
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in problems)
    return None


@given(st.text())
def test_any_text_loads_or_is_refused(text: str) -> None:
    loads_or_is_refused(text)
    assert text is not None


@examples(100)
@given(st.dictionaries(st.sampled_from(KEYS), values | steps, max_size=8))
def test_any_mapping_of_known_keys_loads_or_is_refused(written: dict[str, Any]) -> None:
    text = yaml.safe_dump(written, allow_unicode=True)
    loaded = loads_or_is_refused(text)
    assert loaded is None or loaded.workflow.steps


@examples(100)
@given(steps)
def test_any_steps_load_or_are_refused(written: list[dict[str, Any]]) -> None:
    loaded = loads_or_is_refused(yaml.safe_dump({"name": "flow", "steps": written}, allow_unicode=True))
    assert loaded is None or loaded.lines


@examples(100)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 6))
def test_a_mutated_workflow_loads_or_is_refused(seed: str, number: int, times: int) -> None:
    chance = random.Random(number)
    text = seed
    for _ in range(times):
        text = mutate(text, chance)
    loaded = loads_or_is_refused(text)
    assert loaded is None or loaded.workflow.name


def mutate(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    kind = chance.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[chance.randrange(len(lines))])
    elif kind == 2:
        lines[at] = " " * chance.randrange(4) + lines[at]
    elif kind == 3:
        cut = chance.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + chance.choice("{}[]:&*!|>'\"%@`#,?-\t0é") + lines[at][cut:]
    elif kind == 4:
        lines[at] = lines[at].replace(chance.choice(KEYS), chance.choice(KEYS))
    else:
        lines[at] = lines[at].replace(":", chance.choice([": ", ":", "", ": &a ", ": *a "]), 1)
    return "\n".join(lines)


@pytest.mark.parametrize(
    "step",
    [
        "{{name: s{n}, agent: claude-haiku, on_failure: {{retry: 2, restart_from: s{next}}}}}",
        "{{name: s{n}, agent: claude-haiku, prompt: '{{steps.t{n}.output}}'}}",
        "{{name: s{n}, foreach: plan, steps: [{{name: same, gate: [test]}}]}}",
        "{{name: s{n}, gate: [k{n}], k{n}: 1}}",
        "{{name: same, gate: [test]}}",
    ],
)
def test_very_many_errors_are_reported_quickly(step: str) -> None:
    count, limit_s = full_size((1000, 7), (3000, 20))
    steps = "".join(f"  - {step.format(n=n, next=(n + 1) % count)}\n" for n in range(count))
    began = time.process_time()
    assert loads_or_is_refused(f"name: flow\nsteps:\n{steps}") is None
    assert time.process_time() - began < limit_s
