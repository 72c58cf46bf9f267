"""Creates nodes of the current form, each with the position of the node that it replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from yaml import MappingStartEvent, ScalarEvent, SequenceStartEvent

from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.workflow.reading.yaml_nodes import Node, Value


class Pair(NamedTuple):
    """A key with its value."""

    key: str
    at: Node
    """The node of the original whose position the key gets."""
    value: Node


def scalar(value: Value, at: Node) -> ScalarNode:
    """Return a scalar with the position of `at`."""
    shown = {None: "", True: "true", False: "false"}
    text = shown[value] if value is None or isinstance(value, bool) else str(value)
    plain = not isinstance(value, str)
    event = ScalarEvent(None, None, (plain, not plain), text, at.event.start_mark, at.event.end_mark)
    return ScalarNode(value, event)


def listing(nodes: Iterable[Node], at: Node) -> ListNode:
    event = SequenceStartEvent(None, None, implicit=True, start_mark=at.event.start_mark, end_mark=at.event.end_mark)
    return ListNode(tuple(nodes), event)


def mapping(pairs: Iterable[Pair], at: Node) -> MapNode:
    pairs = list(pairs)
    keys = [scalar(pair.key, pair.at) for pair in pairs]
    event = MappingStartEvent(None, None, implicit=True, start_mark=at.event.start_mark, end_mark=at.event.end_mark)
    return MapNode({pair.key: pair.value for pair in pairs}, keys, event)
