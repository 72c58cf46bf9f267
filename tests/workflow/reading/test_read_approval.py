"""Approvals in workflow files: their forms and defaults."""

from __future__ import annotations

import pytest
from pytest_gump.errors import ConfigError
from pytest_gump.workflow.edit import pause_after
from pytest_gump.workflow.model import Approval, Step, Workflow

from tests.workflow.loading import load, one_step

GROUPED = "name: flow\nsteps:\n  - name: build\n    steps:\n      - {name: impl, gate: [test]}\n  - {name: ship, approve: true}\n"


@pytest.mark.parametrize(
    ("written", "approval"),
    [
        ("true", Approval()),
        ("{}", Approval(("diff", "cost", "changed_config"), None)),
        ("{show: [cost], expires: 3d}", Approval(("cost",), 3 * 86_400.0)),
        ("{expires: 1h30m}", Approval(expires=5400.0)),
    ],
)
def test_forms_of_an_approval(written: str, approval: Approval) -> None:
    (step,) = load(one_step(f"approve: {written}")).workflow.steps
    assert (step.kind, step.approve) == ("approve", approval)


@pytest.mark.parametrize(
    ("written", "hitl"),
    [("true", "before_gate"), ("false", None), ("before_gate", "before_gate"), ("after_gate", "after_gate")],
)
def test_forms_of_hitl(written: str, hitl: str | None) -> None:
    (step,) = load(one_step(f"gate: [test]\nhitl: {written}")).workflow.steps
    assert step.hitl == hitl


@pytest.mark.parametrize("name", ["impl", "build::impl"])
def test_pause_after_is_the_same_as_hitl(name: str) -> None:
    build, _ = pause_after(load(GROUPED).workflow, name).steps
    assert (build.hitl, build.steps[0].hitl) == (None, "before_gate")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope", "--gump-pause-after: no step is named 'nope'\n  hint: steps: build, build::impl, ship"),
        ("ship", "--gump-pause-after: 'ship' is an approval step\n  hint: leave the option out"),
    ],
)
def test_a_wrong_step_to_pause_after(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pause_after(load(GROUPED).workflow, name)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["judge", "impl--validate-look", "impl--validate-look::judge"])
def test_no_pause_after_a_step_of_a_validator(name: str) -> None:
    steps = (Step("judge", agent="haiku", output="review"),)
    validator = Step("validate-look", steps=steps)
    workflow = Workflow("w", steps=(Step("impl", agent="haiku", validators=(validator,)),))
    with pytest.raises(ConfigError, match=f"no step is named '{name}'\n  hint: steps: impl$"):
        pause_after(workflow, name)
