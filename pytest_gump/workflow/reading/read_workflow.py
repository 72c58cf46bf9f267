"""Reads the root of a workflow file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.model import BlastRadius, Input, InputType, Workflow
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.located import PlacedWorkflow
from pytest_gump.workflow.reading.read_step import name_error, read_name, read_steps
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, describe
from pytest_gump.workflow.template import BASE_NAMES

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.located import PlacedStep, Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import Node

ROOT_KEYS: Final = keys.keys(keys.WorkflowKeys)
INPUT_TYPES: Final = get_args(InputType)
RESERVED_NAMES: Final = (*BASE_NAMES, "item", "task", "steps", "run", "prev", "gate")
MOVED: Final = {"review": "put a step with 'output: review' at the end of 'steps'"}


def read_workflow(root: Node, around: Surroundings) -> PlacedWorkflow | None:
    if not isinstance(root, MapNode):
        hint = "a workflow is a mapping with 'name' and 'steps'"
        around.problems.add(root.position, f"the file contains {describe(root)}, not a workflow", hint)
        return None
    fields = Fields(root, ROOT_KEYS, around.problems, moved=MOVED)
    name = read_name(fields, "the workflow")
    inputs = _inputs(fields, around)
    steps = _steps(fields, around._replace(inputs=inputs))
    workflow = Workflow(
        name=name or "",
        description=_description(fields),
        max_budget=fields.dollars("max_budget"),
        max_tokens=fields.whole("max_tokens"),
        max_time=fields.duration("max_time"),
        blast_radius=cast("Any", fields.choice("blast_radius", get_args(BlastRadius)) or "enforce"),
        inputs=inputs,
        setup=_setup(fields, around),
        steps=tuple(step.step for step in steps),
    )
    return PlacedWorkflow(workflow, fields, steps)


def _description(fields: Fields) -> str:
    node = fields.get("description")
    is_blank = isinstance(node, ScalarNode) and node.value in ("", None)
    return "" if is_blank else fields.text("description") or ""


def _steps(fields: Fields, around: Surroundings) -> tuple[PlacedStep, ...]:
    nodes = fields.nodes("steps")
    if nodes == () or "steps" not in fields:
        fields.refuse_value("steps", "the workflow has no steps", "add at least one below 'steps:'")
    return read_steps(nodes or (), (), around)


def _inputs(fields: Fields, around: Surroundings) -> dict[str, Input]:
    node = fields.get("inputs")
    if node is None:
        return {}
    if not isinstance(node, MapNode):
        fields.mapping("inputs", ())
        return {}
    below = Fields(node, tuple(node.values), around.problems)
    return {name: _input(name, below, around) for name in node.values}


def _input(name: str, fields: Fields, around: Surroundings) -> Input:
    position = fields.key_position(name)
    if wrong := name_error(name):
        around.problems.add(position, f"input name {quoted(name)} {wrong}")
    elif name in RESERVED_NAMES:
        around.problems.add(position, f"input name '{name}' is a built-in template name", "rename the input")
    node = fields.get(name)
    if isinstance(node, ScalarNode) and node.value is None:
        return Input()
    below = fields.mapping(name, keys.keys(keys.InputKeys))
    return Input() if below is None else _declared(name, below, around)


def _declared(name: str, fields: Fields, around: Surroundings) -> Input:
    from pytest_gump.workflow.inputs import value_error  # most workflows have no inputs

    default = _input_value(fields.get("default"), f"the default of input '{name}'", around)
    declared = Input(
        required=bool(fields.flag("required")),
        default=default,
        type=cast("Any", fields.choice("type", INPUT_TYPES) or "string"),
        choices=_choices(name, fields, around),
        description=" ".join((fields.text("description") or "").split()) if "description" in fields else "",
    )
    if declared.choices and declared.type != "choice":
        fields.refuse_key("choices", "'choices' has an effect only with 'type: choice'", "add it, or leave them out")
    if declared.type == "choice" and "choices" not in fields:
        fields.refuse(f"input '{name}' of type 'choice' has no 'choices'", "list its values: 'choices: [low, high]'")
    elif default is not None and (wrong := value_error(name, declared, default)):
        fields.refuse_value("default", f"the default is not valid: {wrong}")
    return declared


def _choices(name: str, fields: Fields, around: Surroundings) -> tuple[str, ...]:
    nodes = fields.nodes("choices") or ()
    if nodes == () and "choices" in fields and isinstance(fields.get("choices"), ListNode):
        fields.refuse_value("choices", "'choices' is empty")
    values = (_input_value(node, f"a choice of input '{name}'", around) for node in nodes)
    return tuple(dict.fromkeys(value for value in values if value is not None))


def _input_value(node: Node | None, what: str, around: Surroundings) -> str | None:
    if node is None:
        return None
    if isinstance(node, ScalarNode) and node.value is not None:
        return node.text
    hint = "write '' for an empty text" if isinstance(node, ScalarNode) else None
    around.problems.add(node.position, f"{what} must be text, a number, true or false, not {describe(node)}", hint)
    return None


def _setup(fields: Fields, around: Surroundings) -> tuple[str, ...]:
    commands: list[str] = []
    for node in fields.nodes("setup") or ():
        if isinstance(node, ScalarNode) and node.value is not None and node.text.strip():
            commands.append(node.text)
        else:
            around.problems.add(node.position, f"a setup command must be text, not {describe(node)}")
    return tuple(commands)
