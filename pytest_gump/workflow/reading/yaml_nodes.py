"""Parses YAML into a tree of nodes with positions.

The tree is built from parser events, not by PyYAML's composer. Scalars follow YAML 1.2 (`no` and `12:30` are text,
`010` is ten). Duplicate keys are refused. Aliases share nodes, and their expansion is limited. Deep nesting cannot
exhaust the stack. A node keeps its event and computes its position on demand, because messages need few positions.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import yaml
from yaml import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pytest_gump.text import quoted
from pytest_gump.workflow.problems import Position, Problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_CHARS: Final = 1_048_576
MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
"""Each use of an alias counts, and a long text counts as several nodes."""
CHARS_PER_NODE: Final = 64
MAX_DIGITS: Final = 300

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_SPECIAL_STARTS: Final = frozenset(("", *"+-.0123456789~nNtTfF"))
"""First characters of plain scalars that are possibly not text."""
_CORE_TAG: Final = "tag:yaml.org,2002:"
_COLON_HINT: Final = "quote text that contains ': '; write a nested mapping on its own lines or in {braces}"
_INDENT_HINT: Final = "the line is not indented like the lines around it, or a quote or bracket is not closed"
_SYNTAX_HINTS: Final = {
    "mapping values are not allowed": _COLON_HINT,
    "cannot start any token": "indent with spaces, not tabs, and quote text that starts with '@', '`' or '%'",
    "did not find expected": _INDENT_HINT,
    "expected <block end>": _INDENT_HINT,
}

Value: TypeAlias = str | int | float | bool | None


@dataclass(slots=True, eq=False)
class ScalarNode:
    value: Value
    event: ScalarEvent

    @property
    def text(self) -> str:
        """The text in the file, without quotes."""
        return self.event.value

    @property
    def position(self) -> Position:
        return position_of(self.event)

    @property
    def span(self) -> tuple[int, int]:
        """Start and end in the file, as character offsets."""
        start, end = self.event.start_mark, self.event.end_mark
        return (0, 0) if start is None or end is None else (start.index, end.index)


@dataclass(slots=True, eq=False)
class ListNode:
    nodes: tuple[Node, ...]
    event: CollectionStartEvent

    @property
    def position(self) -> Position:
        return position_of(self.event)


@dataclass(slots=True, eq=False)
class MapNode:
    values: Mapping[str, Node]
    keys: Sequence[Node]
    """In the order of the file, refused keys included."""
    event: CollectionStartEvent

    @property
    def position(self) -> Position:
        return position_of(self.event)

    def key(self, name: str) -> Node:
        """Return the node of a key; if there is none, the mapping itself."""
        return next((key for key in self.keys if isinstance(key, ScalarNode) and key.value == name), self)


Node: TypeAlias = ScalarNode | ListNode | MapNode


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C parser if libyaml is available, otherwise the Python parser."""


class _RefusedError(Exception):
    def __init__(self, position: Position, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.position, self.message, self.hint = position, message, hint


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open."""

    event: CollectionStartEvent
    around: list[Node]
    """The nodes read so far of the enclosing list or mapping."""
    before: int
    """The size of the document before this node."""
    depth: int = 1


class _Anchored(NamedTuple):
    node: Node
    size: int
    depth: int


def read_yaml(text: str, problems: Problems) -> Node | None:
    """Parse one YAML document and add its mistakes to `problems`; None if it cannot be parsed."""
    text = text.removeprefix("\ufeff")
    try:
        _check_text(text)
        root = _Builder(problems).read(_Loader(text))
    except _RefusedError as refused:
        problems.add(refused.position, refused.message, refused.hint)
        return None
    except yaml.MarkedYAMLError as error:
        _add_syntax_error(error, problems)
        return None
    if root is None:
        problems.add(Position(1, 1), "the file is empty", "a workflow needs at least 'name' and 'steps'")
    return root


def position_at(text: str, index: int) -> Position:
    """Convert a character offset to a position."""
    before = text.count("\n", 0, index)
    return Position(before + 1, index - (text.rfind("\n", 0, index) + 1) + 1)


def _check_text(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise _RefusedError(Position(1, 1), f"the file is longer than {MAX_CHARS} characters")
    if odd := _UNPRINTABLE.search(text):
        raise _RefusedError(position_at(text, odd.start()), f"character U+{ord(odd[0]):04X} is not allowed in YAML")


def _add_syntax_error(error: yaml.MarkedYAMLError, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    position = Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
    what = error.problem or error.context or "cannot be read"
    hint = next((hint for part, hint in _SYNTAX_HINTS.items() if part in what), None)
    problems.add(position, f"not valid YAML: {what}", hint)


class _Builder:
    """Builds nodes from events, without recursion."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._anchors: dict[str, _Anchored] = {}
        self._documents = 0

    def read(self, parser: _Loader) -> Node | None:
        """Return the root; None for an empty file. One loop, for speed, because most events are plain scalars."""
        nodes: list[Node] = []  # of the innermost list or mapping that is still open
        opened: list[_Frame] = []
        size = 0
        get_event = parser.get_event
        while (event := get_event()) is not None:
            kind = type(event)
            if kind is ScalarEvent and event.tag is None and event.anchor is None:
                text = event.value
                value = resolve(text) if text[:1] in _SPECIAL_STARTS and event.implicit[0] else text
                nodes.append(ScalarNode(value, event))
                size += 1 + len(text) // CHARS_PER_NODE
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._check_start(event, len(opened))
                opened.append(_Frame(event, nodes, size))
                nodes, size = [], size + 1
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                frame = opened.pop()
                node = self._end(nodes, frame, size)
                nodes = frame.around
                nodes.append(node)
                if opened and frame.depth >= opened[-1].depth:
                    opened[-1].depth = frame.depth + 1
            elif (other := self._other(event, len(opened))) is not None:
                nodes.append(other.node)
                size += other.size
                if opened and other.depth >= opened[-1].depth:
                    opened[-1].depth = other.depth + 1
            if size > MAX_NODES:
                raise _too_many(position_of(event))
        return nodes[0] if nodes else None

    def _other(self, event: Event, level: int) -> _Anchored | None:
        """Return the node of an alias, or of a scalar with a tag or an anchor; None for other events."""
        if isinstance(event, AliasEvent):
            return self._alias(event, level)
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _RefusedError(position_of(event), "a second document starts here", "a file has one workflow")
        return None

    def _scalar(self, event: ScalarEvent) -> _Anchored:
        text = event.value
        if event.tag is not None:
            value = text if event.tag in ("!", _CORE_TAG + "str") else _tagged(event, text)
        else:
            value = resolve(text) if event.implicit[0] else text
        scalar = _Anchored(ScalarNode(value, event), 1 + len(text) // CHARS_PER_NODE, 0)
        if event.anchor is not None:
            self._anchors[event.anchor] = scalar
        return scalar

    def _alias(self, event: AliasEvent, level: int) -> _Anchored:
        target = self._anchors.get(str(event.anchor))
        if target is None:
            raise _RefusedError(
                position_of(event),
                f"alias '*{event.anchor}' has no complete anchor before it",
                f"define '&{event.anchor}' first",
            )
        if level + target.depth > MAX_DEPTH:
            raise _RefusedError(position_of(event), f"nested deeper than {MAX_DEPTH} levels")
        return target

    def _check_start(self, event: CollectionStartEvent, level: int) -> None:
        if event.tag is not None and event.tag not in ("!", _core_tag(event)):
            raise _RefusedError(position_of(event), f"unknown YAML tag {quoted(event.tag)}", "remove the tag")
        if level >= MAX_DEPTH:
            raise _RefusedError(position_of(event), f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)

    def _end(self, nodes: list[Node], frame: _Frame, size: int) -> Node:
        event = frame.event
        is_mapping = isinstance(event, MappingStartEvent)
        node = self._mapping(nodes, event) if is_mapping else ListNode(tuple(nodes), event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, size - frame.before, frame.depth)
        return node

    def _mapping(self, nodes: list[Node], event: CollectionStartEvent) -> MapNode:
        keys, values = nodes[::2], {}
        for key, value in zip(keys, nodes[1::2], strict=True):
            name = key.value if type(key) is ScalarNode else None
            if type(name) is str and name not in values:
                values[name] = value
            elif type(name) is str:
                first = next(node for node in keys if type(node) is ScalarNode and node.value == name)
                hint = f"the first is on line {first.position.line}; keep one"
                self._problems.add(key.position, f"duplicate key {quoted(name)}", hint)
            else:
                self._problems.add(key.position, f"a key must be text, not {describe(key)}", "put it in quotes")
        return MapNode(values, keys, event)


def _too_many(position: Position) -> _RefusedError:
    return _RefusedError(position, f"the file expands to more than {MAX_NODES} values", "use fewer aliases")


def describe(node: Node | None) -> str:
    """Describe a node for `must be a list, not ...`."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if node is None or node.value is None:
        return "nothing"
    return quoted(node.value) if isinstance(node.value, str) else quoted(node.text).strip("'\"")


def position_of(event: Event) -> Position:
    mark = event.start_mark
    return Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)


def _core_tag(event: CollectionStartEvent) -> str:
    return _CORE_TAG + ("map" if isinstance(event, MappingStartEvent) else "seq")


def _tagged(event: ScalarEvent, text: str) -> Value:
    value = resolve(text)
    kind = str(event.tag).removeprefix(_CORE_TAG)
    fits = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(kind)
    if fits is None or type(value) is not fits:
        raise _RefusedError(position_of(event), f"unknown YAML tag {quoted(str(event.tag))}", "remove the tag")
    return value


def resolve(text: str) -> Value:
    """Return the value of a plain scalar, as defined by the YAML 1.2 core schema."""
    if text[:1] not in _NUMBER_STARTS or text in _WORDS:
        return _WORDS.get(text, text)
    if len(text) > MAX_DIGITS:
        return text
    if text.isdecimal() and text.isascii():
        return int(text)
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text
