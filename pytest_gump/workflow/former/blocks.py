"""Reads the keys of a step of Gump 0.0.4, which are on the step itself or in its blocks `get` and `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode

if TYPE_CHECKING:
    from pytest_gump.workflow.former.outline import Kind
    from pytest_gump.workflow.problems import Position, Problems
    from pytest_gump.workflow.reading.yaml_nodes import Node

GET: Final = ("prompt", "context", "session", "worktree")
RUN: Final = ("agent", "guard", "hitl")
ALL: Final = (
    "name", "type", *GET, *RUN, "gate", "retry", "get", "run", "each", "steps", "parallel", "workflow", "with",
)  # fmt: skip
_AGENT: Final = frozenset({"name", "type", *GET, *RUN, "gate", "retry", "get", "run"})
_TAKEN: Final = {
    **dict.fromkeys(("code", "validate", "artifact"), _AGENT),
    "split": _AGENT | {"each", "parallel"},
    "gate": frozenset({"name", "gate", "hitl"}),
    "group": frozenset({"name", "steps", "parallel"}),
    "call": frozenset({"name", "workflow", "with"}),
    "unclear": frozenset(ALL),
}
_TITLES: Final = {"gate": "a step with gates only", "group": "a parallel group", "call": "a call"}
_HINTS: Final = {
    "validate": "it is a gate: write 'gate: [{validate: ...}]'",
    **dict.fromkeys(("max_turns", "max_budget", "max_tokens", "max_time", "no_write"), "write it below 'guard'"),
    "timeout": "write 'guard: {max_time: ...}'",
}


class Block(NamedTuple):
    """The keys of a step."""

    step: Fields
    get: Fields | None
    run: Fields | None

    def of(self, key: str) -> Fields:
        """Return the mapping that contains a key; the step itself if the key is absent."""
        return next((block for block in (self.get, self.run) if block is not None and key in block), self.step)

    def get_node(self, key: str) -> Node | None:
        return self.of(key).get(key)

    def text(self, key: str) -> str:
        """Return the text of a key; empty if there is none."""
        node = self.get_node(key)
        return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else ""

    def key(self, key: str) -> Node:
        return self.of(key).node.key(key)

    def position(self, key: str) -> Position:
        return self.key(key).position


def read_blocks(node: MapNode, kind: Kind, problems: Problems) -> Block:
    """Read the keys of a step; report unknown, repeated and misplaced ones."""
    step = Fields(node, ALL, problems, moved=_HINTS)
    taken = _TAKEN[kind]
    title = _TITLES.get(kind, f"a step with 'type: {kind}'")
    for key in step.values:
        if key in ALL and key not in taken:
            step.refuse_key(key, f"{title} takes no '{key}'", _hint(key))
    get, run = _block(step, "get", GET), _block(step, "run", RUN)
    if get is not None and "workflow" in step:
        step.refuse_key("workflow", "'workflow' must be inside 'get', because the step has that block")
    return Block(step, get, run)


def _hint(key: str) -> str | None:
    return {
        "each": "it belongs to a step with 'type: split'",
        "parallel": "it belongs to a group with 'steps' or to a split",
        "with": "it belongs to a step with 'workflow'",
    }.get(key)


def _block(step: Fields, name: str, keys: tuple[str, ...]) -> Fields | None:
    node = step.get(name)
    if node is None:
        return None
    calls = isinstance(node, MapNode) and "workflow" in node.values and name == "get"
    known = (*keys, *node.values) if calls and isinstance(node, MapNode) else keys
    block = step.mapping(name, known)
    for key in keys:
        if key in step and (block is None or key not in block):
            step.refuse_key(key, f"'{key}' must be inside '{name}', because the step has that block")
        elif key in step:
            step.refuse_key(key, f"'{key}' is set on the step and in '{name}'", "keep one")
    return block
