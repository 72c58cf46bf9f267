"""Reads a call: the workflow that it names, and the values of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.errors import ConfigError, WorkflowError
from pytest_gump.text import quoted
from pytest_gump.workflow.inputs import input_hint, missing, value_error
from pytest_gump.workflow.model import Call
from pytest_gump.workflow.reading.located import Templated
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe
from pytest_gump.workflow.template import VALUE_NAMES, only_name, parse, written_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.loaded import Loaded
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.problems import Position
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.located import Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import Node


class CalledWorkflow(NamedTuple):
    call: Call
    loaded: Loaded
    texts: tuple[Templated, ...]
    """The templates of `with`."""


def read_call(fields: Fields, around: Surroundings, *, key: str = "workflow") -> CalledWorkflow | None:
    """Read the workflow that `key` names and the inputs in `with`; None if there is no such workflow."""
    name = fields.text(key)
    return None if name is None else call_of(name, fields.value_position(key), fields.get("with"), around)


def call_of(
    name: str, at: Position, given: Node | None, around: Surroundings, *, names: tuple[str, ...] = VALUE_NAMES
) -> CalledWorkflow | None:
    """Return the call of a workflow by its name, with the inputs in `given`; None if there is no such workflow.

    `names` are the names that the inputs may use, besides those of inputs, plan items, steps and the run.
    """
    loaded = _load(name, at, _passed(given, around), around)
    if loaded is None:
        return None
    values = dict(_values(given, loaded.workflow, around))
    for absent in missing(loaded.workflow.inputs, given.values if isinstance(given, MapNode) else {}):
        hint = input_hint(loaded.workflow.inputs[absent]) or f"add it to 'with': {{{absent}: ...}}"
        where = given.position if isinstance(given, MapNode) else at
        around.problems.add(where, f"workflow {quoted(name)} requires input '{absent}'", hint)
    for agent in loaded.agent_inputs:
        if agent in values:
            _check_agent(agent, values[agent], around)
    _check_former(name, at, values, loaded, around)
    texts = tuple(Templated(node.text, node, base=names) for node in values.values())
    return CalledWorkflow(_call(name, loaded, {key: node.text for key, node in values.items()}), loaded, texts)


def _check_former(name: str, at: Position, values: dict[str, ScalarNode], loaded: Loaded, around: Surroundings) -> None:
    """Report inputs of a file of Gump 0.0.4 that a call leaves out.

    Such a file does not declare them, and in Gump 0.0.4 they are those of the caller.
    """
    for key, declared in loaded.workflow.inputs.items() if loaded.is_former else ():
        if key in values or declared.required:
            continue
        what = f"workflow {quoted(name)} uses {{{key}}}, which this call does not give"
        if around.former_inputs is not None and key in around.former_inputs:
            around.problems.add(at, what, f'add {key}: "{{{key}}}"')
        else:
            around.problems.note(at, what, "it is empty there")


def _check_agent(name: str, node: ScalarNode, around: Surroundings) -> None:
    """Check the value of an input that is an agent. It may be an input of this file."""
    own = only_name(node.text)
    if own not in around.inputs:
        hint = "write the name of an agent, or exactly '{INPUT}'"
        if written_names(node.text):
            around.problems.add(node.position, f"input '{name}' is an agent and cannot be {quoted(node.text)}", hint)
        else:
            around.check_agent(node.text, node)
        return
    default = around.inputs[own].default
    if default is not None and own not in around.given:
        around.check_agent(default, node)


def _passed(given: Node | None, around: Surroundings) -> dict[str, str]:
    """Return the values in `with`. One that is an input of this file has the input's value if that is known."""
    values = given.values if isinstance(given, MapNode) else {}
    texts = {name: value.text for name, value in values.items() if isinstance(value, ScalarNode)}
    defaults = {name: declared.default for name, declared in around.inputs.items() if declared.default is not None}
    known = {**defaults, **around.given}
    return {name: known.get(only_name(text), text) for name, text in texts.items()}


def _load(name: str, position: Position, given: dict[str, str], around: Surroundings) -> Loaded | None:
    try:
        return around.load_called(name, given, around.in_foreach)
    except WorkflowError as error:
        around.problems.include(error.problems)
    except ConfigError as error:
        around.problems.add(position, str(error.args[0]), error.hint)
    return None


def _call(name: str, loaded: Loaded, values: dict[str, str]) -> Call:
    workflow = loaded.workflow
    return Call(
        workflow=name,
        file=loaded.name if loaded.path is None else str(loaded.path),
        inputs=workflow.inputs,
        values=values,
        agents=loaded.agent_inputs,
        package=workflow.package,
        max_budget=workflow.max_budget,
        max_tokens=workflow.max_tokens,
        max_time=workflow.max_time,
        blast_radius=workflow.blast_radius,
    )


def _values(node: Node | None, workflow: Workflow, around: Surroundings) -> Iterator[tuple[str, ScalarNode]]:
    if not isinstance(node, MapNode):
        if node is not None:
            around.problems.add(node.position, f"'with' must be a mapping, not {describe(node)}")
        return
    for name, value in node.values.items():
        declared = workflow.inputs.get(name)
        if declared is None:
            hint = around.problems.suggest(name, workflow.inputs, label="inputs") or "it has no inputs"
            what = f"workflow {quoted(workflow.name)} has no input {quoted(name)}"
            around.problems.add(node.key(name).position, what, hint)
        elif not isinstance(value, ScalarNode) or value.value is None:
            what = f"the value of input '{name}' must be text, a number, true or false, not {describe(value)}"
            around.problems.add(value.position, what)
        else:
            if not written_names(value.text) and (wrong := value_error(name, declared, _filled(value.text))):
                around.problems.add(value.position, wrong, declared.description or None)
            yield name, value


def _filled(text: str) -> str:
    return parse(text).render({})
