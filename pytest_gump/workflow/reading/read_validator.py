"""Reads `validate` gates: the workflow that each one calls, and whether it can check a change."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES
from pytest_gump.workflow.model import VALIDATE, GateSpec, Step, ValidatorOptions
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.located import PlacedValidator
from pytest_gump.workflow.reading.read_call import VALUE_NAMES, call_of
from pytest_gump.workflow.reading.yaml_nodes import ScalarNode
from pytest_gump.workflow.refs import iter_steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.located import Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import MapNode, Node

NAMES: Final = (*VALUE_NAMES, "output")
"""The names that an input may use, besides those of a call: the change to check, and the output of the step."""
GROUP: Final = "validate-"
"""Start of the name of a validator's group."""
_NEEDED: Final = "gate 'validate' needs a workflow", 'for example "validate: arch-review"'


def read_short(argument: str | None, at: Node, taken: Collection[str], around: Surroundings) -> PlacedValidator | None:
    """Read `validate: NAME`."""
    if argument is None:
        around.problems.add(at.position, *_NEEDED)
        return None
    return _validator(argument, at, None, ValidatorOptions(), taken, around)


def read_options(node: MapNode, taken: Collection[str], around: Surroundings) -> PlacedValidator | None:
    """Read `{validate: NAME, with: {...}, independent: true}`. `taken` are the names of the step's other validators."""
    fields = Fields(node, keys.keys(keys.ValidateKeys), around.problems)
    options = ValidatorOptions(independent=bool(fields.flag("independent")))
    given = fields.get(VALIDATE)
    if isinstance(given, ScalarNode) and given.value is None:
        return read_short(None, node.key(VALIDATE), taken, around)
    name = fields.text(VALIDATE)
    if name is None or given is None:
        return None
    return _validator(name.strip(), given, fields.get("with"), options, taken, around)


def _validator(  # noqa: PLR0917
    name: str,
    at: Node,
    inputs: Node | None,
    options: ValidatorOptions,
    taken: Collection[str],
    around: Surroundings,
) -> PlacedValidator | None:
    called = call_of(name, at.position, inputs, around, names=NAMES)
    if called is None:
        return None
    steps = called.loaded.workflow.steps
    for problem in _problems(name, steps):
        around.problems.add(at.position, *problem)
    options = replace(options, inputs=tuple(called.call.values.items()))
    step = Step(_free_name(name, taken), steps=steps, call=called.call)
    return PlacedValidator(GateSpec(VALIDATE, name, options), step, called.loaded, called.texts, at)


def _problems(name: str, steps: Sequence[Step]) -> Iterator[Mistake]:
    """Yield why a workflow cannot check a change."""
    if not _ends_with_review(steps):
        yield f"the last step of validator {quoted(name)} is not a review", "end it with a step with 'output: review'"
    for names, step in iter_steps(steps):
        path = quoted("::".join(names))
        if step.kind == "agent" and step.output == "diff":
            hint = "give it 'output: review', 'plan' or 'artifact'"
            yield f"step {path} of validator {quoted(name)} changes files, but a validator only checks them", hint
        if step.validators:
            yield (
                f"step {path} of validator {quoted(name)} has a validator of its own",
                "call it in the same 'gate' list",
            )
        if step.approve is not None or step.hitl is not None:
            hint = "ask the person in a step after the checked one"
            yield f"step {path} of validator {quoted(name)} waits for a person", hint


def _ends_with_review(steps: Sequence[Step]) -> bool:
    last = steps[-1]
    if last.kind == "group":
        return not last.parallel and last.foreach is None and not last.gate and _ends_with_review(last.steps)
    return last.kind == "agent" and last.output == "review"


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return the name of a validator's group: `validate-arch-review`, with a number if it is taken."""
    last = name.rpartition("/")[2]
    for suffix in WORKFLOW_SUFFIXES:
        last = last.removesuffix(suffix)
    plain = GROUP + re.sub(r"[^A-Za-z0-9_]+", "-", last)[:40].strip("-")
    numbers = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(free for free in numbers if free not in taken)
