"""Translates a file of Gump 0.0.4 to the current form. Every value keeps its position in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.workflow.former.agent_step import Tools
from pytest_gump.workflow.former.decisions import Decisions
from pytest_gump.workflow.former.new_nodes import Pair, listing, mapping, scalar
from pytest_gump.workflow.former.outline import Outline
from pytest_gump.workflow.former.steps import Steps
from pytest_gump.workflow.former.texts import Texts
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.yaml_nodes import MapNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.reading.located import WorkflowFile
    from pytest_gump.workflow.reading.yaml_nodes import Node

KEYS: Final = ("name", "description", "max_budget", "max_tokens", "max_timeout", "inputs", "review", "steps")
_IGNORED: Final = {
    "inputs": "leave it out: the names in braces are the inputs",
    "review": "put a step with 'type: validate' at the end of 'steps'",
}
"""Root keys that Gump 0.0.4 ignores with a warning."""
_NEW_NAMES: Final = {"max_timeout": "max_time"}


class Translation(NamedTuple):
    root: MapNode
    decisions: Decisions
    inputs: frozenset[str]


def translate(root: Node, file: WorkflowFile) -> Translation | None:
    """Return a file of Gump 0.0.4 in the current form; None if it has mistakes, which are added to the problems."""
    before = len(file.problems.found)
    if not isinstance(root, MapNode):
        return None
    fields = Fields(root, KEYS, file.problems)
    for key, hint in _IGNORED.items():
        if key in fields:
            fields.refuse_key(key, f"Gump 0.0.4 ignores '{key}'", hint)
    fields.duration("max_timeout")
    texts, decisions = Texts(Outline.of(root), file.problems, file.source), Decisions()
    nodes = fields.nodes("steps")
    if not nodes:
        fields.refuse_value("steps", "the workflow has no steps", "add at least one below 'steps:'")
    steps = Steps(Tools(file, texts, decisions)).translate(nodes or (), (), 0)
    if len(file.problems.found) > before:
        return None
    return Translation(mapping(_pairs(root, steps, texts), root), decisions, frozenset(texts.inputs))


def _pairs(root: MapNode, steps: list[Node], texts: Texts) -> Iterator[Pair]:
    for key, value in root.values.items():
        if key == "steps":
            yield from _inputs(root, texts)
            yield Pair(key, root.key(key), listing(steps, value))
        else:
            yield Pair(_NEW_NAMES.get(key, key), root.key(key), value)


def _inputs(root: MapNode, texts: Texts) -> Iterator[Pair]:
    """Yield `inputs` with the names that the templates use and that no step gives."""
    if not texts.inputs:
        return
    at = root.key("steps")
    required = [Pair("required", at, scalar(value=True, at=at))]
    names = [Pair(name, at, mapping(required if name in texts.agents else (), at)) for name in texts.inputs]
    yield Pair("inputs", at, mapping(names, at))
