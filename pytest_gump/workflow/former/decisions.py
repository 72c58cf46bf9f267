"""What a translation decides: comments for the converted file, and forms that only the translation can write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.workflow.problems import Position
    from pytest_gump.workflow.reading.yaml_nodes import Node


@dataclass(slots=True)
class Decisions:
    comments: dict[int, list[str]] = field(default_factory=dict)
    """Comments above a value of the converted file, by the identity of its node."""
    without_form: list[tuple[Position, str, str]] = field(default_factory=list)
    """What the file means and no file in the current form can express, each with its position and a hint."""
    _nodes: list[Node] = field(default_factory=list)

    def comment(self, node: Node, text: str) -> None:
        self._nodes.append(node)  # keeps the node, so that its identity stays its own
        self.comments.setdefault(id(node), []).append(text)
