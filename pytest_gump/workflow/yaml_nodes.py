"""YAML text as a tree of nodes that know their places.

A node holds the parser's event and looks its place up there: of the thousands of places of a file, messages need few.

The tree is built from parser events, not by PyYAML's composer: scalars follow YAML 1.2 (`no` and `12:30` are text,
`010` is ten), duplicate keys are refused, aliases are shared and their expansion is bounded, and no depth of nesting
can exhaust the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from pytest_gump.workflow.problems import Place, Problems, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_CHARS: Final = 1_048_576
MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
"""With every alias counted as often as it is used, and long texts as several."""
CHARS_PER_NODE: Final = 64

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_SPECIAL_STARTS: Final = frozenset(("", *"+-.0123456789~nNtTfF"))
"""What a plain scalar that is not text may start with."""
_CORE_TAG: Final = "tag:yaml.org,2002:"
_COLON_HINT: Final = "text that holds ': ' needs quotes, and a nested mapping its own lines or {braces}"
_INDENT_HINT: Final = "the line is not indented like its neighbours, or a quote or bracket is not closed"
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
    event: yaml.ScalarEvent

    @property
    def text(self) -> str:
        """As written, without quotes."""
        return self.event.value

    @property
    def place(self) -> Place:
        return place_of(self.event)

    @property
    def span(self) -> tuple[int, int]:
        """Start and end in the file, in characters."""
        start, end = self.event.start_mark, self.event.end_mark
        return (0, 0) if start is None or end is None else (start.index, end.index)


@dataclass(slots=True, eq=False)
class ListNode:
    nodes: tuple[Node, ...]
    event: yaml.CollectionStartEvent

    @property
    def place(self) -> Place:
        return place_of(self.event)


@dataclass(slots=True, eq=False)
class MapNode:
    values: Mapping[str, Node]
    keys: Sequence[Node]
    """As they stand in the file, refused ones too."""
    event: yaml.CollectionStartEvent

    @property
    def place(self) -> Place:
        return place_of(self.event)

    def key(self, name: str) -> Node:
        """The key of that name; if there is none, the mapping."""
        return next((key for key in self.keys if isinstance(key, ScalarNode) and key.value == name), self)


Node: TypeAlias = ScalarNode | ListNode | MapNode


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C parser where libyaml is there, else the Python one."""


class _RefusedError(Exception):
    def __init__(self, place: Place, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open."""

    event: yaml.CollectionStartEvent
    nodes: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int
    depth: int


def read_yaml(text: str, problems: Problems) -> Node | None:
    """Read one YAML document; what is wrong with it goes into `problems`, and None is returned if it cannot be read."""
    text = text.removeprefix("\ufeff")
    try:
        _check_text(text)
        builder = _Builder(problems)
        builder.read(_Loader(text))
    except _RefusedError as refused:
        problems.add(refused.place, refused.message, refused.hint)
        return None
    except yaml.MarkedYAMLError as error:
        _add_syntax_error(error, problems)
        return None
    if builder.root is None:
        problems.add(Place(1, 1), "the file is empty", "a workflow needs at least 'name' and 'steps'")
    return builder.root


def place_at(text: str, index: int) -> Place:
    """Turn an index into a file's text into a place."""
    before = text.count("\n", 0, index)
    return Place(before + 1, index - (text.rfind("\n", 0, index) + 1) + 1)


def _check_text(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise _RefusedError(Place(1, 1), f"the file is longer than {MAX_CHARS} characters")
    if odd := _UNPRINTABLE.search(text):
        raise _RefusedError(place_at(text, odd.start()), f"character U+{ord(odd[0]):04X} is not allowed in YAML")


def _add_syntax_error(error: yaml.MarkedYAMLError, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
    what = error.problem or error.context or "cannot be read"
    hint = next((hint for part, hint in _SYNTAX_HINTS.items() if part in what), None)
    problems.add(place, f"not valid YAML: {what}", hint)


class _Builder:
    """Turns events into nodes, without recursion."""

    def __init__(self, problems: Problems) -> None:
        self.root: Node | None = None
        self._problems = problems
        self._open: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._documents = 0

    def read(self, parser: _Loader) -> None:
        handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start,
            yaml.SequenceStartEvent: self._start,
            yaml.MappingEndEvent: self._end_mapping,
            yaml.SequenceEndEvent: self._end_list,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        get_event, frames, scalar = parser.get_event, self._open, yaml.ScalarEvent
        while (event := get_event()) is not None:
            kind = type(event)
            if kind is scalar and frames and event.tag is None and event.anchor is None:
                # four of five events, so in place: what `_scalar` and `_add` do where there is least to do
                text, frame = event.value, frames[-1]
                value = resolve(text) if text[:1] in _SPECIAL_STARTS and event.implicit[0] else text
                frame.nodes.append(ScalarNode(value, event))
                frame.size += 1 + len(text) // CHARS_PER_NODE
                if frame.size > MAX_NODES:
                    raise _too_many(place_of(event))
            elif (handle := handlers.get(kind)) is not None:
                handle(event)

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _RefusedError(place_of(event), "a second document starts here", "one file holds one workflow")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = event.value
        if event.tag is not None:
            value = text if event.tag in ("!", _CORE_TAG + "str") else _tagged(event, text)
        else:
            value = resolve(text) if text[:1] in _SPECIAL_STARTS and event.implicit[0] else text
        self._add(ScalarNode(value, event), event.anchor, 1 + len(text) // CHARS_PER_NODE, 0)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in ("!", _core_tag(event)):
            raise _RefusedError(place_of(event), f"unknown YAML tag {quoted(event.tag)}", "workflows need no tags")
        if len(self._open) >= MAX_DEPTH:
            raise _RefusedError(place_of(event), f"nested deeper than {MAX_DEPTH} levels")
        self._open.append(_Frame(event))
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)

    def _end_mapping(self, _event: yaml.MappingEndEvent) -> None:
        frame = self._open.pop()
        self._add(self._mapping(frame), frame.event.anchor, frame.size, frame.depth)

    def _end_list(self, _event: yaml.SequenceEndEvent) -> None:
        frame = self._open.pop()
        self._add(ListNode(tuple(frame.nodes), frame.event), frame.event.anchor, frame.size, frame.depth)

    def _alias(self, event: yaml.AliasEvent) -> None:
        target = self._anchors.get(str(event.anchor))
        if target is None:
            raise _RefusedError(
                place_of(event),
                f"alias '*{event.anchor}' has no finished anchor before it",
                f"set it with '&{event.anchor}' first",
            )
        if len(self._open) + target.depth > MAX_DEPTH:
            raise _RefusedError(place_of(event), f"nested deeper than {MAX_DEPTH} levels")
        self._add(target.node, None, target.size, target.depth)

    def _add(self, node: Node, anchor: str | None, size: int, depth: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node, size, depth)
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        frame.nodes.append(node)
        frame.size += size
        if depth >= frame.depth:
            frame.depth = depth + 1
        if frame.size > MAX_NODES:
            raise _too_many(node.place)

    def _mapping(self, frame: _Frame) -> MapNode:
        keys, values = frame.nodes[::2], {}
        for key, value in zip(keys, frame.nodes[1::2], strict=True):
            name = key.value if type(key) is ScalarNode else None
            if type(name) is str and name not in values:
                values[name] = value
            elif type(name) is str:
                first = next(one for one in keys if type(one) is ScalarNode and one.value == name)
                hint = f"the first is in line {first.place.line}; keep one"
                self._problems.add(key.place, f"key {quoted(name)} stands here twice", hint)
            else:
                self._problems.add(key.place, f"a key must be text, not {describe(key)}", "put it in quotes")
        return MapNode(values, keys, frame.event)


def _too_many(place: Place) -> _RefusedError:
    return _RefusedError(place, f"the file stands for more than {MAX_NODES} values", "use fewer aliases")


def describe(node: Node | None) -> str:
    """Say what a node is, for `must be a list, not ...`."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if node is None or node.value is None:
        return "nothing"
    return quoted(node.value) if isinstance(node.value, str) else quoted(node.text).strip("'\"")


def place_of(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _core_tag(event: yaml.CollectionStartEvent) -> str:
    return _CORE_TAG + ("map" if isinstance(event, yaml.MappingStartEvent) else "seq")


def _tagged(event: yaml.ScalarEvent, text: str) -> Value:
    value = resolve(text)
    kind = str(event.tag).removeprefix(_CORE_TAG)
    fits = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(kind)
    if fits is None or type(value) is not fits:
        raise _RefusedError(place_of(event), f"unknown YAML tag {quoted(str(event.tag))}", "workflows need no tags")
    return value


def resolve(text: str) -> Value:
    """Give a plain scalar its value by the YAML 1.2 core schema."""
    if text[:1] not in _NUMBER_STARTS:
        return _WORDS.get(text, text)
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if len(text) <= 300 and _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
