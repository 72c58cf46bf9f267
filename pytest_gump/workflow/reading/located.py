"""The steps of a file with their positions, for the messages of later rules."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_gump.text import quoted
from pytest_gump.workflow.problems import Position
from pytest_gump.workflow.refs import part_name
from pytest_gump.workflow.template import ATTEMPT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_gump.workflow.loaded import Loaded
    from pytest_gump.workflow.model import GateSpec, Input, Policy, Step, When, Workflow
    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.yaml_nodes import Node, ScalarNode

Kind = Literal["agent", "gate", "group", "call", "approve", "unclear"]


class WorkflowFile(NamedTuple):
    """A workflow file whose values are read."""

    problems: Problems
    source: str
    """Text of the file."""
    folder: Path | None
    """Folder of the file."""
    project: Path


class Surroundings(NamedTuple):
    """The inputs for reading a workflow file, except its YAML."""

    problems: Problems
    source: str
    """Text of the file."""
    folder: Path | None
    """Folder of the file."""
    project: Path
    gates: frozenset[str]
    """Names of custom gates."""
    agent_error: Callable[[str], str | None]
    same_cli: Callable[[str, str], bool] | None
    load_called: Callable[[str, Mapping[str, str], bool], Loaded]
    """Loads a called workflow by its name, with the inputs of the call; True if it runs once for each plan item.

    Raises ConfigError if there is no such workflow, and WorkflowError if its file has mistakes.
    """
    models_of: Callable[[str], str | None] | None = None
    """Returns the family of an agent's models."""
    in_foreach: bool = False
    """True if the steps run once for each plan item of a `foreach`, here or in a calling workflow."""
    given: Mapping[str, str] = MappingProxyType({})
    """Values of the inputs of the file, as written: those of the call or of the command line."""
    replaced: Callable[[Step], Step] = lambda step: step
    """Returns a step with the agents that the command line gives it."""
    inputs: Mapping[str, Input] = MappingProxyType({})
    """The inputs that the file declares."""
    former_inputs: frozenset[str] | None = None
    """The inputs of a file of Gump 0.0.4, whose nodes come from the translation; None for other files."""

    @property
    def file(self) -> WorkflowFile:
        return WorkflowFile(self.problems, self.source, self.folder, self.project)

    @property
    def is_translated(self) -> bool:
        return self.former_inputs is not None

    def check_agent(self, name: str, at: Node) -> None:
        """Report an unknown agent."""
        if message := self.agent_error(name):
            what, _, hint = message.partition("\n  hint: ")
            self.problems.add(at.position, what, hint or None)

    def have_different_clis(self, agent: str | None, other: str | None) -> bool:
        """True if two agents are known to belong to different CLIs."""
        return not (not agent or not other or self.same_cli is None or self.same_cli(agent, other))


class Templated(NamedTuple):
    """A template. This class and the next two are tuples for speed, because every step of a file has them."""

    text: str
    node: ScalarNode | None = None
    """Node of the workflow file; None for a prompt file."""
    file: str | None = None
    """Path of the prompt file; None if the text is in the workflow file."""
    base: tuple[str, ...] = ATTEMPT_NAMES
    """The names that the text may use, besides those of inputs, plan items, steps and the run."""

    @property
    def position(self) -> Position:
        return Position(1, 1) if self.node is None else self.node.position


class PlacedWhen(NamedTuple):
    """The conditions of one entry of a strategy."""

    when: When
    fields: Fields
    gates: tuple[ScalarNode, ...]
    """Nodes of the gate names."""


class PlacedPolicy(NamedTuple):
    policy: Policy
    fields: Fields
    kinds: tuple[tuple[str, Node], ...]
    """Kind and node of each entry, before `same: N` is expanded."""
    resumed: tuple[tuple[str, Node], ...]
    """Agents of escalations that resume a conversation, each with its node."""
    prompts: tuple[Templated, ...]
    whens: tuple[PlacedWhen, ...] = ()


class PlacedValidator(NamedTuple):
    """A `validate` gate with the workflow that it calls."""

    gate: GateSpec
    step: Step
    """The group with the steps of the workflow."""
    loaded: Loaded
    texts: tuple[Templated, ...]
    """The templates of `with`."""
    node: Node
    """The name of the workflow in the caller's file."""
    inputs: Node | None
    """The value of `with`."""


class PlacedStep(NamedTuple):
    step: Step
    names: tuple[str, ...]
    kind: Kind
    fields: Fields
    policies: tuple[PlacedPolicy, ...] = ()
    failure: Fields | None = None
    texts: tuple[Templated, ...] = ()
    children: tuple[PlacedStep, ...] = ()
    called: Loaded | None = None
    before: tuple[PlacedStep, ...] = ()
    """The calls of its context workflows: steps of their own, before it."""
    validators: tuple[PlacedValidator, ...] = ()

    def named_validators(self) -> Iterator[tuple[str, PlacedValidator]]:
        """Yield the step's validators, each with the static path of its group."""
        above = self.names if self.step.kind == "group" else self.names[:-1]
        for validator in self.validators:
            yield "::".join((*above, part_name(self.step, validator.step))), validator

    @property
    def title(self) -> str:
        return f"step {quoted(self.step.name)}" if self.step.name else "the step"


class PlacedWorkflow(NamedTuple):
    workflow: Workflow
    fields: Fields
    steps: tuple[PlacedStep, ...]

    def walk(self) -> Iterator[PlacedStep]:
        """Yield every step in the order of the file, groups before their children."""
        return walk(self.steps)


def walk(steps: Iterable[PlacedStep]) -> Iterator[PlacedStep]:
    for step in steps:
        yield step
        if step.children:
            yield from walk(step.children)
