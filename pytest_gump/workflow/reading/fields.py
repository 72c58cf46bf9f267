"""Typed access to one mapping of the file. A value of the wrong type is reported, and None is returned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pytest_gump.text import quoted
from pytest_gump.units import MAX_SECONDS, parse_duration
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_gump.workflow.problems import Position, Problems
    from pytest_gump.workflow.reading.yaml_nodes import Node

_MERGE_HINT: Final = "YAML 1.2 has no merge keys: repeat the keys, or use an alias for a whole value"
_SWITCH_WORDS: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}


class Fields:
    """One mapping. Creating it reports the unknown keys.

    `moved` contains hints for keys that belong elsewhere. Keys in `hidden` are known, but no hint suggests them.
    """

    def __init__(
        self,
        node: MapNode,
        known: Collection[str],
        problems: Problems,
        *,
        moved: Mapping[str, str] | None = None,
        hidden: Collection[str] = (),
    ) -> None:
        self.node = node
        self.values = node.values
        self._problems = problems
        for key in node.values:
            if key not in known:
                listed = [word for word in known if word not in hidden]
                hint = (moved or {}).get(key) or problems.suggest(key, listed, label="known keys")
                hint = _MERGE_HINT if key == "<<" else hint
                problems.add(node.key(key).position, f"unknown key {quoted(key)}", hint)

    @property
    def position(self) -> Position:
        return self.node.position

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def key_position(self, key: str) -> Position:
        return self.node.key(key).position

    def value_position(self, key: str) -> Position:
        node = self.values.get(key)
        return self.position if node is None else node.position

    def refuse(self, message: str, hint: str | None = None) -> None:
        self._problems.add(self.position, message, hint)

    def refuse_key(self, key: str, message: str, hint: str | None = None) -> None:
        self._problems.add(self.key_position(key), message, hint)

    def refuse_value(self, key: str, message: str, hint: str | None = None) -> None:
        self._problems.add(self.value_position(key), message, hint)

    def get(self, key: str) -> Node | None:
        return self.values.get(key)

    def text(self, key: str) -> str | None:
        node = self.values.get(key)
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            if node.value.strip():
                return node.value
            self.refuse_value(key, f"'{key}' is empty")
            return None
        is_scalar = isinstance(node, ScalarNode) and node.value is not None
        self._wrong(key, "text", "put it in quotes" if is_scalar else None)
        return None

    def whole(self, key: str, *, most: int | None = None) -> int | None:
        node = self.values.get(key)
        if isinstance(node, ScalarNode) and type(node.value) is int and 1 <= node.value <= (most or math.inf):
            return node.value
        self._wrong(key, f"a whole number from 1{f' to {most}' if most else ''}")
        return None

    def dollars(self, key: str) -> float | None:
        node = self.values.get(key)
        if isinstance(node, ScalarNode) and type(node.value) in (int, float):
            amount = node.value if type(node.value) is float else to_float(node.value)
            if math.isfinite(amount) and amount > 0:
                return amount
        is_price = isinstance(node, ScalarNode) and node.text.startswith("$")
        self._wrong(key, "a number of US dollars above 0", "write it without '$'" if is_price else None)
        return None

    def duration(self, key: str) -> float | None:
        node = self.values.get(key)
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and len(node.value) < 50:
            try:
                seconds = parse_duration(node.value)
            except ValueError:
                seconds = math.inf
            if seconds <= MAX_SECONDS:
                return seconds
        bare = isinstance(node, ScalarNode) and type(node.value) is int and node.value > 0
        hint = f"did you mean {describe(node)}s?" if bare else None
        self._wrong(key, "a duration such as 90s, 5m or 1h30m", hint)
        return None

    def flag(self, key: str) -> bool | None:
        node = self.values.get(key)
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        word = _SWITCH_WORDS.get(node.text.lower()) if isinstance(node, ScalarNode) else None
        self._wrong(key, "true or false", f"write {word}" if word else None)
        return None

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        node = self.values.get(key)
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            self._wrong(key, f"one of {', '.join(choices)}")
            return None
        if node.value in choices:
            return node.value
        self.refuse_value(key, f"unknown {key} {quoted(node.value)}", self._problems.suggest(node.value, choices))
        return None

    def nodes(self, key: str) -> tuple[Node, ...] | None:
        node = self.values.get(key)
        if isinstance(node, ListNode):
            return node.nodes
        self._wrong(key, "a list", f"write '{key}: [...]'" if isinstance(node, ScalarNode) else None)
        return None

    def mapping(self, key: str, known: Collection[str]) -> Fields | None:
        node = self.values.get(key)
        if isinstance(node, MapNode):
            return Fields(node, known, self._problems)
        self._wrong(key, "a mapping")
        return None

    def _wrong(self, key: str, expected: str, hint: str | None = None) -> None:
        """Report a value of the wrong type, if the key is present."""
        if key in self.values:
            self.refuse_value(key, f"'{key}' must be {expected}, not {describe(self.values[key])}", hint)


def to_float(value: object) -> float:
    """Convert a number of any size. Return infinity if it is too large for a float, or is not a number."""
    try:
        return float(str(value))
    except (ValueError, OverflowError):
        return math.inf
