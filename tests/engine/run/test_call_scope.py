from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.run.call_scope import CallScope
from pytest_gump.engine.schedule.records import Ready
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import Call, Input, Package, Step, Workflow
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.workflow.model import BlastRadius

ACME, OTHER = (Package(*each, Path()) for each in (("acme", "1.0", "aa"), ("other", "2", "bb")))
STEP = Step(name="work", agent="a")
INNER = Step(
    name="inner",
    steps=(STEP,),
    call=Call("i", "i", {"level": Input(), "deep": Input(default="d")}, {"level": "very {level}"}, package=OTHER),
)
OUTER = Step(
    name="outer",
    foreach="plan",
    steps=(INNER, STEP),
    call=Call(
        "o",
        "o",
        {"level": Input(type="integer"), "name": Input()},
        {"level": "{number}", "name": "{item.name} {steps.plan.cost}"},
        package=ACME,
        blast_radius="warn",
    ),
)
ONE = PlanItem(name="One", slug="one")


def scope(blast_radius: BlastRadius = "off", package: Package | None = None) -> CallScope:
    workflow = Workflow(name="w", steps=(OUTER, STEP), blast_radius=blast_radius, package=package)
    return CallScope(workflow, {"number": "5"})


def ready(text: str) -> Ready:
    path = StepPath.parse(text)
    return Ready(path, STEP, 1, "a", "diff", "0", "0", items=(ONE,) if path.items else ())


def value(name: str, asker: Ready, calls: CallScope | None = None) -> str:
    """Return an input, or the name with the path and the plan items of the step that asks."""
    calls = calls or scope()
    if "." not in name:
        return calls.value(name, asker, value)
    return f"<{name} of {asker.path} {[item.name for item in asker.items]}>"


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("work", "number", "5"),
        ("work", "level", ""),
        ("outer::work[one]", "level", "5"),
        ("outer::work[one]", "number", ""),
        ("outer::inner::work[one]", "level", "very 5"),
        ("outer::inner::work[one]", "deep", "d"),
        ("outer::inner::work[one]", "name", ""),
        ("outer::work[one]", "name", "<item.name of outer[one] ['One']> <steps.plan.cost of outer[one] ['One']>"),
    ],
)
def test_a_template_is_filled_in_the_scope_of_its_caller(path: str, name: str, expected: str) -> None:
    assert value(name, ready(path)) == expected


@pytest.mark.parametrize(
    ("number", "wrong"),
    [("5", None), (" 5\n", None), ("many", "'many'"), ("", "''"), ("\x1b" * 99, repr("\x1b" * 57 + "..."))],
)
def test_a_filled_value_is_checked(number: str, wrong: str | None) -> None:
    workflow = Workflow(name="w", steps=(OUTER, STEP))
    calls = CallScope(workflow, {"number": number}, lambda call, name: f"{call}.yaml, {name}: ")
    found = calls.wrong_input(ready("outer::work[one]"), lambda name, asker: value(name, asker, calls))
    expected = f"outer.yaml, level: the call outer[one] cannot start: input 'level' must be a whole number, not {wrong}"
    assert found == (None if wrong is None else expected)
    assert calls.wrong_input(ready("work"), value) is None


@pytest.mark.parametrize(("own", "inside"), [("off", "warn"), ("warn", "warn"), ("enforce", "enforce")])
def test_the_stricter_blast_radius_wins(own: BlastRadius, inside: BlastRadius) -> None:
    calls = scope(own)
    assert calls.blast_radius(StepPath(("work",))) == own
    assert calls.blast_radius(StepPath(("outer", "work"), ("one",))) == inside
    assert calls.blast_radius(StepPath(("outer", "inner", "work"), ("one",))) == inside


def test_the_packages_of_a_step_are_those_of_all_files_around_it() -> None:
    calls = scope(package=ACME)
    assert calls.packages(StepPath(("work",))) == "acme 1.0 (aa)"
    assert calls.packages(StepPath(("outer", "inner", "work"))) == "acme 1.0 (aa); other 2 (bb)"
    assert scope().packages(StepPath(("work",))) == ""


def test_a_name_belongs_to_the_call_in_which_it_is_used() -> None:
    assert scope().name_in(ready("work"), "steps.a.output") == "steps.a.output"
    assert scope().name_in(ready("outer::inner::work[one]"), "steps.a.output") == "outer::inner: steps.a.output"
