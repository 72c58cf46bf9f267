"""Loads a workflow file: returns the checked workflow, or all of its problems with their locations."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.workflow.problems import Problems
from pytest_gump.workflow.reading.located import Surroundings
from pytest_gump.workflow.reading.prompt_text import shown
from pytest_gump.workflow.reading.read_workflow import read_workflow
from pytest_gump.workflow.reading.rules import Index, check_steps
from pytest_gump.workflow.reading.rules_failure import check_failures
from pytest_gump.workflow.reading.rules_reach import check_reach
from pytest_gump.workflow.reading.rules_templates import check_templates
from pytest_gump.workflow.reading.rules_when import check_conditions
from pytest_gump.workflow.reading.yaml_nodes import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from pytest_gump.errors import Problem
    from pytest_gump.workflow.find import Found, Source
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.reading.located import PlacedWorkflow
    from pytest_gump.workflow.reading.yaml_nodes import Node


class Loaded(NamedTuple):
    workflow: Workflow
    path: Path | None
    source: Source
    text: str
    lines: Mapping[str, int]
    """1-based line at which each step begins, groups included, by static path (`build::impl`)."""
    notes: tuple[Problem, ...] = ()
    """Notes about input that is valid but probably not intended; each is shown once."""


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
) -> Loaded:
    """Read a workflow and check every rule of the language.

    Args:
        gates: Names of custom gates of the project and its plugins.
        agents: Returns what is wrong with an agent name, or None.
        same_cli: Returns True if two agents run the same CLI, so that each can resume conversations of the other.

    Raises:
        WorkflowError: The file has mistakes; the error lists all of them.
    """
    parsed = workflow if isinstance(workflow, ParsedWorkflow) else parse_workflow(workflow, project)
    found, root, problems = parsed.found, parsed.root, parsed.problems
    around = Surroundings(
        problems=problems,
        source=parsed.text,
        folder=None if found.path is None else found.path.parent,
        project=project,
        gates=frozenset(gates),
        agent_error=cache(agents or (lambda _: None)),
        same_cli=same_cli,
    )
    placed = None if root is None else read_workflow(root, around)
    if placed is not None:
        _check(placed, around)
    if placed is None or problems.found:
        raise problems.error()
    lines = {"::".join(step.names): step.fields.position.line for step in placed.walk()}
    return Loaded(placed.workflow, found.path, found.source, found.text, lines, tuple(problems.notes))


def _check(placed: PlacedWorkflow, around: Surroundings) -> None:
    index = Index.from_workflow(placed)
    check_steps(placed, index, around)
    check_failures(placed, around)
    check_conditions(placed, around)
    check_templates(placed, index, around)
    check_reach(placed, around)
