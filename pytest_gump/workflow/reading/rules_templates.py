"""Rules for templates: every name is known, and every reference refers to exactly one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.errors import nearest
from pytest_gump.text import quoted
from pytest_gump.workflow.model import template_name
from pytest_gump.workflow.reading.original import RENAMED_FIELDS
from pytest_gump.workflow.reading.rules import NotFound
from pytest_gump.workflow.reading.yaml_nodes import position_at
from pytest_gump.workflow.refs import output_step, split_state, step_at
from pytest_gump.workflow.template import ITEM_NAMES, PREV_FIELDS, STATE_FIELDS, allowed, canonical, written_names

if TYPE_CHECKING:
    from pytest_gump.workflow.problems import Mistake, Position
    from pytest_gump.workflow.reading.located import PlacedStep, PlacedWorkflow, Surroundings, Templated
    from pytest_gump.workflow.reading.rules import Index

_ABSENT: Final = {
    "agent": frozenset[str](),
    "approve": frozenset({"files", "session_id", "agent"}),
    "gate": frozenset({"output", "files", "session_id", "agent"}),
    "group": frozenset(STATE_FIELDS),
}
"""Fields that are always empty, by the kind of the step. The output of an approval is a rejection; gates have none."""


def check_templates(workflow: PlacedWorkflow, index: Index, around: Surroundings) -> None:
    inputs = tuple(workflow.workflow.inputs)
    everywhere = frozenset(allowed(in_foreach=False, inputs=inputs, base=()))
    for step in workflow.walk():
        for text in step.texts:
            if any(name not in everywhere and name not in text.base for name, _ in written_names(text.text)):
                names = allowed(in_foreach=_is_in_foreach(step, index, around), inputs=inputs, base=text.base)
                _check_text(step, text, names, index, around)


def _is_in_foreach(step: PlacedStep, index: Index, around: Surroundings) -> bool:
    is_each = step.kind == "call" and "foreach" in step.fields
    return is_each or around.in_foreach or index.foreach_around(step) is not None


def _check_text(step: PlacedStep, text: Templated, names: tuple[str, ...], index: Index, around: Surroundings) -> None:
    seen: set[str] = set()
    for name, offset in written_names(text.text):
        if around.problems.full:
            return
        if name in seen or canonical(name) in names:
            continue
        seen.add(name)
        position = locate(text, name, offset, around.source)
        problem = _problem(step, name, names, index, around)
        if problem is not None:
            around.problems.add(position, *problem, path=text.file)


def _problem(step: PlacedStep, name: str, names: tuple[str, ...], index: Index, around: Surroundings) -> Mistake | None:
    head, _, rest = name.partition(".")
    if head == "steps" and rest:
        return _state_problem(step, name, index, around)
    if head == "gate" and "error" in names:
        return _gate_problem(step, name, rest, around)
    if head == "prev" and rest not in PREV_FIELDS:
        hint = around.problems.suggest(rest, PREV_FIELDS, label="fields")
        return f"unknown field {quoted(rest)} in {{{name}}}" if rest else f"{{{name}}} needs a field", hint
    return _unknown(name, names)


def _gate_problem(step: PlacedStep, name: str, gate: str, around: Surroundings) -> Mistake | None:
    own = [*dict.fromkeys(template_name(spec.label) for spec in step.step.gate)]
    if gate in own:
        return None
    if not own:
        return f"{{{name}}} has no value: {step.title} has no gates", None
    what = f"names gate {quoted(gate)}, which {step.title} does not have" if gate else "needs the name of a gate"
    return f"{{{name}}} {what}", around.problems.suggest(gate, own, label="its gates")


def _state_problem(step: PlacedStep, name: str, index: Index, around: Surroundings) -> Mistake | None:
    split = split_state(name)
    if split is None:
        return f"{{{name}}} needs a step and a field", f"write {{steps.STEP.FIELD}}; fields: {', '.join(STATE_FIELDS)}"
    ref, state = split
    if state not in STATE_FIELDS:
        hint = RENAMED_FIELDS.get(state) or around.problems.suggest(state, STATE_FIELDS, label="fields")
        return f"unknown field {quoted(state)} in {{{name}}}", hint
    found = index.resolve(step, ref, around)
    if isinstance(found, NotFound):
        return found.about(f"{{{name}}}")
    lacking = _lacking(found, state, index)
    return None if lacking is None else (f"{{{name}}} never has a value: {lacking[0]}", lacking[1])


def _lacking(names: tuple[str, ...], state: str, index: Index) -> Mistake | None:
    """Return why a field of a step is always empty, with a hint; None if it can have a value."""
    depth = next(depth for depth in range(len(names), 0, -1) if names[:depth] in index.steps)
    placed = index.steps[names[:depth]]
    if placed.kind == "unclear" or (placed.kind == "call" and placed.called is None):
        return None  # a mistake that is already reported
    step = step_at((placed.step,), output_step((placed.step,), names[depth - 1 :]))
    if step is None or state not in _ABSENT[step.kind]:
        return None
    title = f"step {quoted(step.name)}"
    if step.call is not None:
        return f"no step of the workflow that {title} calls has an agent", "name a step of that workflow"
    if step.kind == "group":
        return f"{title} is a group", f"name one of its steps: {'.'.join((*names, step.steps[-1].name))}"
    fields = ", ".join(field for field in STATE_FIELDS if field not in _ABSENT[step.kind])
    return f"{title} has no agent", f"its fields: {fields}"


def _unknown(name: str, names: tuple[str, ...]) -> Mistake:
    if canonical(name) in ITEM_NAMES:
        return f"{{{name}}} has a value only inside a 'foreach'", "put the step below a group that has 'foreach'"
    near = nearest(name, names)
    first = f"did you mean {{{near[0]}}}? " if near else f"for literal braces write {{{{{name}}}}}; "
    known = ", ".join((*names, "gate.NAME", "steps.STEP.FIELD") if "error" in names else (*names, "steps.STEP.FIELD"))
    return f"unknown template name {{{name}}}", f"{first}known: {known}"


def locate(text: Templated, name: str, offset: int, source: str) -> Position:
    """Return the position of a placeholder, or that of the whole text if YAML escapes hide the placeholder."""
    if text.node is None:
        return position_at(text.text, offset)
    wanted = f"{{{name}}}"
    (start, end) = text.node.span
    at = start - 1
    for _ in range(text.text.count(wanted, 0, offset) + 1):
        at = source.find(wanted, at + 1, end)
        if at < 0:
            return text.node.position
    return position_at(source, at)
