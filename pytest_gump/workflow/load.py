"""Loads a workflow file: returns the checked workflow, or all of its problems with their locations."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property
from itertools import chain as joined
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.workflow.dialect import dialect_of
from pytest_gump.workflow.loaded import Loaded
from pytest_gump.workflow.problems import Problems
from pytest_gump.workflow.reading.located import Surroundings
from pytest_gump.workflow.reading.prompt_text import shown
from pytest_gump.workflow.reading.read_workflow import read_workflow
from pytest_gump.workflow.reading.rules import Index, check_steps
from pytest_gump.workflow.reading.rules_failure import check_failures
from pytest_gump.workflow.reading.rules_reach import check_reach
from pytest_gump.workflow.reading.rules_templates import check_templates
from pytest_gump.workflow.reading.yaml_nodes import MapNode, read_yaml
from pytest_gump.workflow.template import only_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from pytest_gump.workflow.called import CalledWorkflows, Chain
    from pytest_gump.workflow.find import Found
    from pytest_gump.workflow.model import Step
    from pytest_gump.workflow.reading.located import PlacedWorkflow
    from pytest_gump.workflow.reading.yaml_nodes import Node


NO_INPUTS: Final[Mapping[str, str]] = MappingProxyType({})
MAX_STEPS: Final = 100_000
"""Highest number of steps of a workflow and all its calls. pytest collects this many in about twenty seconds."""


class ParsedWorkflow(NamedTuple):
    """A workflow file whose YAML is parsed. The rules of the language are not checked yet."""

    found: Found
    text: str
    """Without a byte order mark."""
    root: Node | None
    problems: Problems


def parse_workflow(found: Found, project: Path) -> ParsedWorkflow:
    """Parse the YAML; add mistakes to `problems`."""
    problems = Problems(f"{found.name}.yaml" if found.path is None else shown(found.path, project))
    text = found.text.removeprefix("\ufeff")
    return ParsedWorkflow(found, text, read_yaml(text, problems), problems)


def load_workflow(
    workflow: Found | ParsedWorkflow,
    *,
    project: Path,
    gates: Collection[str] = (),
    agents: Callable[[str], str | None] | None = None,
    same_cli: Callable[[str, str], bool] | None = None,
    models_of: Callable[[str], str | None] | None = None,
    replaced: Callable[[Step], Step] = lambda step: step,
    home: Path | None = None,
    inputs: Mapping[str, str] = NO_INPUTS,
) -> Loaded:
    """Read a workflow and those that it calls, and check every rule of the language.

    Args:
        gates: Names of custom gates of the project and its plugins.
        agents: Returns what is wrong with an agent name, or None.
        same_cli: Returns True if two agents run the same CLI, so that each can resume conversations of the other.
        models_of: Returns the family of an agent's models; None if it is not known.
        replaced: Returns a step with the agents that the command line gives it.
        home: The user's home folder, for the workflows that are called.
        inputs: Values of inputs, as far as they are known. A step can have an agent from an input only with its value.

    Raises:
        WorkflowError: A file has mistakes; the error lists all of them.
    """
    rules = _Rules(frozenset(gates), cache(agents or (lambda _: None)), same_cli, models_of, replaced)
    return _Loader(project, home, rules).load(workflow, (), inputs, in_foreach=False)


class _Rules(NamedTuple):
    """What the project knows about names."""

    gates: frozenset[str]
    agent_error: Callable[[str], str | None]
    same_cli: Callable[[str, str], bool] | None
    models_of: Callable[[str], str | None] | None
    replaced: Callable[[Step], Step]


class _Loader:
    """Loads one workflow and all that it calls."""

    def __init__(self, project: Path, home: Path | None, rules: _Rules) -> None:
        self._project, self._home, self._rules = project, home, rules

    @cached_property
    def _called(self) -> CalledWorkflows:
        from pytest_gump.workflow.called import CalledWorkflows  # most workflows call no other

        return CalledWorkflows(self._load_called, project=self._project, home=self._home)

    def _load_called(self, found: Found, chain: Chain, given: Mapping[str, str], in_foreach: bool) -> Loaded:  # noqa: FBT001
        return self.load(found, chain, given, in_foreach=in_foreach)

    def load(
        self, workflow: Found | ParsedWorkflow, chain: Chain, given: Mapping[str, str], *, in_foreach: bool
    ) -> Loaded:
        """Read a workflow that the files of `chain` call, with the inputs in `given`."""
        parsed = workflow if isinstance(workflow, ParsedWorkflow) else parse_workflow(workflow, self._project)
        found, root, problems = parsed.found, parsed.root, parsed.problems
        chain = (*chain, found)

        def load_called(name: str, given: Mapping[str, str], in_foreach: bool) -> Loaded:  # noqa: FBT001
            return self._called.load(name, chain, given, in_foreach=in_foreach)

        around = Surroundings(
            problems=problems,
            source=parsed.text,
            folder=None if found.path is None else found.path.parent,
            project=self._project,
            gates=self._rules.gates,
            agent_error=self._rules.agent_error,
            same_cli=self._rules.same_cli,
            models_of=self._rules.models_of,
            replaced=self._rules.replaced,
            load_called=load_called,
            in_foreach=in_foreach,
            given=given,
        )
        if root is not None:
            root, around = _present_form(root, around)
        placed = None if root is None else read_workflow(root, around)
        agent_inputs: tuple[str, ...] = ()
        if placed is not None:
            passed_on = _passed_on(placed)
            agent_inputs = _agent_inputs(placed, passed_on)
            placed = _with_agents(_requiring(passed_on, placed), around)
            _check(placed, around)
        if placed is None or problems.found:
            raise problems.error()
        return _loaded(placed, parsed, is_called=len(chain) > 1)._replace(
            agent_inputs=agent_inputs, is_former=around.is_translated
        )


def _loaded(placed: PlacedWorkflow, parsed: ParsedWorkflow, *, is_called: bool) -> Loaded:
    found, workflow = parsed.found, replace(placed.workflow, package=parsed.found.package)
    if is_called and "blast_radius" not in placed.fields:
        workflow = replace(workflow, blast_radius="off")  # that of the caller applies
    steps = [*placed.walk()]
    calls = {"::".join(step.names): step.called for step in steps if step.called is not None}
    validators = {path: validator for step in steps for path, validator in step.named_validators()}
    calls |= {path: validator.loaded for path, validator in validators.items()}
    lines = {"::".join(step.names): step.fields.position.line for step in steps}
    lines |= {path: validator.node.position.line for path, validator in validators.items()}
    nodes = {"::".join(step.names): step.fields.get("with") for step in steps if step.called is not None}
    nodes |= {path: validator.inputs for path, validator in validators.items()}
    called = {id(each): each for each in calls.values()}.values()
    setup = dict.fromkeys(command for each in called for command in each.workflow.setup)
    more = (command for command in setup if command not in workflow.setup)
    workflow = replace(workflow, setup=(*workflow.setup, *more))
    notes = joined.from_iterable(each.notes for each in called)
    return Loaded(
        workflow,
        found.path,
        found.source,
        found.text,
        lines,
        tuple(dict.fromkeys((*parsed.problems.notes, *notes))),
        calls,
        found.name,
        max((1 + each.depth for each in called), default=0),
        value_lines=dict(_value_lines(nodes)),
        size=_count(placed),
    )


def _value_lines(inputs: Mapping[str, Node | None]) -> Iterator[tuple[tuple[str, str], int]]:
    for path, node in inputs.items():
        for name, value in node.values.items() if isinstance(node, MapNode) else ():
            yield (path, name), value.position.line


def _present_form(root: Node, around: Surroundings) -> tuple[Node | None, Surroundings]:
    """Return a file in the current form of the language, or None if it has mistakes, and what the reader needs."""
    dialect = dialect_of(root, around.problems)
    if dialect == "present":
        return root, around
    from pytest_gump.workflow.former.translate import translate  # most files are in the current form

    translation = translate(root, around.file) if dialect == "former" else None
    if translation is None:
        return None, around
    return translation.root, around._replace(former_inputs=translation.inputs)


def _agent_inputs(placed: PlacedWorkflow, passed_on: tuple[str, ...]) -> tuple[str, ...]:
    """Return the inputs that are agents of steps, here or in called workflows."""
    names = (step.step.agent_of.input for step in placed.walk() if step.step.agent_of is not None)
    return tuple(dict.fromkeys((*(name for name in names if name), *passed_on)))


def _passed_on(placed: PlacedWorkflow) -> tuple[str, ...]:
    """Return the inputs that are agents of steps in called workflows."""
    steps = [*placed.walk()]
    calls = [(step.step.call, step.called) for step in steps if step.called is not None]
    calls += [(validator.step.call, validator.loaded) for step in steps for validator in step.validators]
    passed = [
        only_name(call.values.get(name, ""))
        for call, loaded in calls
        if call is not None and loaded is not None
        for name in loaded.agent_inputs
    ]
    return tuple(name for name in passed if name in placed.workflow.inputs)


def _requiring(names: tuple[str, ...], placed: PlacedWorkflow) -> PlacedWorkflow:
    """Return the workflow with inputs that are required unless they have a default.

    The file does not say so of an agent that it only passes on: the called workflow decides which inputs are agents.
    """
    inputs = placed.workflow.inputs
    needed = {name: inputs[name]._replace(required=True) for name in names if inputs[name].default is None}
    return placed._replace(workflow=replace(placed.workflow, inputs={**inputs, **needed})) if needed else placed


def _with_agents(placed: PlacedWorkflow, around: Surroundings) -> PlacedWorkflow:
    if all(step.step.agent_of is None for step in placed.walk()):
        return placed
    from pytest_gump.workflow.reading.rules_agents import fill_agents, fill_inputs  # few steps use another agent

    return fill_agents(fill_inputs(placed, around), around)


def _check(placed: PlacedWorkflow, around: Surroundings) -> None:
    index, steps = Index.from_workflow(placed), [*placed.walk()]
    check_steps(placed, index, around)
    check_failures(placed, around)
    if any(policy.whens for step in steps for policy in step.policies):
        from pytest_gump.workflow.reading.rules_when import check_conditions  # few files have conditions

        check_conditions(placed, around)
    check_templates(placed, index, around)
    if any(step.validators for step in steps):
        from pytest_gump.workflow.reading.rules_agents import check_independence  # most files have no validators

        check_independence(placed, around)
    check_reach(placed, around)
    if (count := _count(placed)) > MAX_STEPS:
        what = f"the workflow has {count:,} steps with those of its calls, and at most {MAX_STEPS:,} are allowed"
        placed.fields.refuse_value("steps", what, "a call runs all steps of the called workflow again")


def _count(placed: PlacedWorkflow) -> int:
    """Return the number of steps, including those of called workflows and validators."""
    steps = [*placed.walk()]
    called = [step.called for step in steps if step.called is not None]
    called += (validator.loaded for step in steps for validator in step.validators)
    return len(steps) + sum(loaded.size for loaded in called)
