"""Reads `when:`, the conditions of a strategy entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.workflow import keys
from pytest_gump.workflow.model import When
from pytest_gump.workflow.reading.located import PlacedWhen
from pytest_gump.workflow.reading.yaml_nodes import ListNode, ScalarNode, describe

if TYPE_CHECKING:
    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.yaml_nodes import Node

WHEN_KEYS: Final = keys.keys(keys.WhenKeys)


def read_when(entry: Fields, problems: Problems) -> PlacedWhen | None:
    fields = entry.mapping("when", WHEN_KEYS)
    if fields is None:
        return None
    if not fields.values:
        fields.refuse("'when' is empty", "give it 'gate', 'validate' or 'attempt', or leave it out")
    gates = _gates(fields, problems)
    attempt = fields.whole("attempt", most=keys.MAX_ATTEMPTS)
    if attempt == 1:
        hint = "'attempt: 2' fits the first failure, and every later one"
        fields.refuse_value("attempt", "'attempt: 1' never fits: no attempt failed before it", hint)
    when = When(tuple(str(node.value).strip() for node in gates), fields.text("validate"), attempt)
    return PlacedWhen(when, fields, gates)


def _gates(fields: Fields, problems: Problems) -> tuple[ScalarNode, ...]:
    node = fields.get("gate")
    if node is None:
        return ()
    if isinstance(node, ListNode) and not node.nodes:
        fields.refuse_value("gate", "'gate' is empty", "name at least one gate")
    nodes = node.nodes if isinstance(node, ListNode) else (node,)
    return tuple(name for written in nodes if (name := _name(written, problems)) is not None)


def _name(node: Node, problems: Problems) -> ScalarNode | None:
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value.strip():
        return node
    problems.add(node.position, f"'gate' of 'when' must be the name of a gate or a list of names, not {describe(node)}")
    return None
