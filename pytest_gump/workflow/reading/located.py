"""Steps that were read, with the places that later rules point at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_gump.text import quoted
from pytest_gump.workflow.problems import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_gump.workflow.model import Policy, Step, Workflow
    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.yaml_nodes import Node, ScalarNode

Kind = Literal["agent", "gate", "group", "unclear"]


class Surroundings(NamedTuple):
    """What reading a file may look at besides the file."""

    problems: Problems
    source: str
    """The file's text."""
    folder: Path | None
    """The file's folder."""
    project: Path
    gates: frozenset[str]
    """Names of custom gates."""
    agent_error: Callable[[str], str | None]
    same_cli: Callable[[str, str], bool] | None

    def check_agent(self, name: str, at: Node) -> None:
        """Report an agent that there is not."""
        if message := self.agent_error(name):
            what, _, hint = message.partition("\n  hint: ")
            self.problems.add(at.position, what, hint or None)

    def parts_sessions(self, agent: str | None, other: str | None) -> bool:
        """True if two agents are known to belong to different CLIs."""
        return not (agent is None or other is None or self.same_cli is None or self.same_cli(agent, other))


class Templated(NamedTuple):
    """A text that templates apply to. A tuple, as the next two: they are made for every step of every file."""

    text: str
    node: ScalarNode | None = None
    """Where it stands in the workflow file."""
    file: str | None = None
    """The prompt file, when it is not in the workflow file itself."""

    @property
    def position(self) -> Position:
        return Position(1, 1) if self.node is None else self.node.position


class PlacedPolicy(NamedTuple):
    policy: Policy
    fields: Fields
    kinds: tuple[tuple[str, Node], ...]
    """Kind and place of each entry as written, before `same: N` is expanded."""
    resumed: tuple[tuple[str, Node], ...]
    """Agents of escalations that want to resume a session."""
    prompts: tuple[Templated, ...]


class PlacedStep(NamedTuple):
    step: Step
    names: tuple[str, ...]
    kind: Kind
    fields: Fields
    policies: tuple[PlacedPolicy, ...] = ()
    failure: Fields | None = None
    texts: tuple[Templated, ...] = ()
    children: tuple[PlacedStep, ...] = ()

    @property
    def title(self) -> str:
        return f"step {quoted(self.step.name)}" if self.step.name else "the step"


class PlacedWorkflow(NamedTuple):
    workflow: Workflow
    fields: Fields
    steps: tuple[PlacedStep, ...]

    def walk(self) -> Iterator[PlacedStep]:
        """Give every step in the order of the file, groups before their children."""
        return walk(self.steps)


def walk(steps: Iterable[PlacedStep]) -> Iterator[PlacedStep]:
    for step in steps:
        yield step
        if step.children:
            yield from walk(step.children)
