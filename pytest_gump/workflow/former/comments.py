"""Keeps the comments of a file of Gump 0.0.4 in its conversion."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import yaml

from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.workflow.former.decisions import Decisions
    from pytest_gump.workflow.reading.yaml_nodes import Node

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader that has read the file; the two accept different tabs."""
_COMMENT: Final = re.compile("#+ ?([^\n\r\x85\u2028\u2029]*)")


class Comment(NamedTuple):
    line: int
    """Line of the key or value that it is about: its own, or the next one below it."""
    text: str


def keep_comments(source: str, root: MapNode, decisions: Decisions) -> list[str]:
    """Put each comment of a file above the value that it is about. Return those at the end of the file.

    The comment of a key that the conversion does not have is put above the next one.
    """
    comments = read_comments(source)
    places = [*_places(root)]
    uses = Counter(id(node) for node in _values(root))
    lines: dict[int, Node] = {}
    for line, node in places:
        if uses[id(node)] == 1:
            lines.setdefault(line, node)
    known = sorted(lines)
    for comment in comments:
        index = bisect_left(known, comment.line)
        if index < len(known):
            decisions.comment(lines[known[index]], comment.text)
    return [comment.text for comment in comments if bisect_left(known, comment.line) == len(known)]


def read_comments(source: str) -> list[Comment]:
    """Return the comments between the tokens of a file that is valid YAML."""
    tokens: Sequence[yaml.Token] = [*yaml.scan(source, _LOADER)]
    found: list[Comment] = []
    for before, after in pairwise(tokens):
        gap = source[before.end_mark.index : after.start_mark.index]
        for match in _COMMENT.finditer(gap):
            is_behind = before.end_mark.column > 0 and "\n" not in gap[: match.start()]
            mark = before.end_mark if is_behind else after.start_mark
            found.append(Comment(mark.line + 1, match[1].rstrip()))
    return found


def _values(node: Node) -> Iterator[Node]:
    """Yield the values below a node. One that the conversion repeats is there several times."""
    children = node.values.values() if isinstance(node, MapNode) else node.nodes if isinstance(node, ListNode) else ()
    for child in children:
        yield child
        yield from _values(child)


def _places(node: Node) -> Iterator[tuple[int, Node]]:
    """Yield the values that a comment can be above, each with its line in the original."""
    if isinstance(node, MapNode):
        for key, value in node.values.items():
            yield node.key(key).position.line, value
            if isinstance(value, ScalarNode):
                yield value.position.line, value
            yield from _places(value)
    elif isinstance(node, ListNode):
        for entry in node.nodes:
            yield entry.position.line, entry
            yield from _places(entry)
