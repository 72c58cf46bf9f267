"""Writes a tree of nodes as a YAML file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.workflow.reading.yaml_nodes import Node

WIDTH: Final = 110
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./$@(][A-Za-z0-9_./$@()=+ -]*", re.ASCII)
_ESCAPED: Final = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_BLOCK_TEXT: Final = re.compile(
    "[\t\n\x20-\x7e\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]+"
)


def write_yaml(root: MapNode, comments: Mapping[int, Sequence[str]]) -> str:
    """Return a tree as YAML. `comments` go above the values with these identities."""
    return "".join(f"{line}\n" for line in _Writer(comments).block(root, ""))


def comment_line(text: str) -> str:
    return f"# {text}".rstrip()


class _Writer:
    def __init__(self, comments: Mapping[int, Sequence[str]]) -> None:
        self._comments = comments

    def block(self, node: MapNode, indent: str) -> Iterator[str]:
        """Yield the lines of a mapping."""
        for key, value in node.values.items():
            yield from self._above(value, indent)
            yield from self._value(f"{indent}{_scalar_text(key)}:", value, indent)

    def _value(self, start: str, value: Node, indent: str) -> Iterator[str]:
        if isinstance(value, ScalarNode):
            yield from self._scalar(start, value, indent)
        elif (flow := self._flow(value, len(start))) is not None:
            yield f"{start} {flow}"
        elif isinstance(value, MapNode):
            yield start
            yield from self.block(value, f"{indent}  ")
        else:
            yield start
            for item in value.nodes:
                yield from self._item(item, f"{indent}  ")

    def _item(self, node: Node, indent: str) -> Iterator[str]:
        yield from self._above(node, indent)
        flow = None if isinstance(node, ScalarNode) else self._flow(node, len(indent) + 2)
        if isinstance(node, ScalarNode):
            yield from self._scalar(f"{indent}-", node, indent)
        elif flow is not None and not _is_step(node):
            yield f"{indent}- {flow}"
        elif isinstance(node, MapNode):
            first, *rest = self.block(node, f"{indent}  ")
            if first.lstrip().startswith("#"):  # a comment of the first key
                yield f"{indent}-"
                yield first
            else:
                yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
        else:
            yield f"{indent}-"
            for item in node.nodes:
                yield from self._item(item, f"{indent}  ")

    def _above(self, node: Node, indent: str) -> Iterator[str]:
        for comment in self._comments.get(id(node), ()):
            yield from (f"{indent}{comment_line(line)}" for line in comment.split("\n"))

    def _scalar(self, start: str, node: ScalarNode, indent: str) -> Iterator[str]:
        text = node.value if isinstance(node.value, str) else None
        if text is not None and "\n" in text and _BLOCK_TEXT.fullmatch(text) and text[0] not in " \t\n":
            body = text.rstrip("\n")
            ends = len(text) - len(body)
            yield f"{start} |{'-' if not ends else '+' if ends > 1 else ''}"
            yield from (f"{indent}  {line}" if line else "" for line in body.split("\n"))
            yield from [""] * (ends - 1)
            return
        shown = _shown(node)
        yield f"{start} {shown}" if shown else start

    def _flow(self, node: ListNode | MapNode, used: int) -> str | None:
        """Return a list or a mapping as one line; None if it is too long or has mappings or comments inside."""
        children = node.nodes if isinstance(node, ListNode) else (*node.values.values(),)
        if any(id(child) in self._comments for child in children):
            return None
        shown = [self._flow_child(child, is_list=isinstance(node, ListNode)) for child in children]
        if any(child is None for child in shown):
            return None
        if isinstance(node, ListNode):
            text = f"[{', '.join(map(str, shown))}]"
        else:
            pairs = [f"{_scalar_text(key)}: {child}" for key, child in zip(node.values, shown, strict=True)]
            text = f"{{{', '.join(pairs)}}}"
        return text if used + len(text) < WIDTH else None

    def _flow_child(self, node: Node, *, is_list: bool) -> str | None:
        if isinstance(node, ScalarNode):
            if isinstance(node.value, str) and "\n" in node.value:
                return None
            return _shown(node) or "null"
        return None if is_list else self._flow(node, 0)


def _is_step(node: Node) -> bool:
    return isinstance(node, MapNode) and "name" in node.values


def _shown(node: ScalarNode) -> str:
    return _scalar_text(node.value) if isinstance(node.value, str) else node.text


def _scalar_text(text: str) -> str:
    """Return a text as it can stand in a list or mapping: plain if it is safe, otherwise in quotes."""
    is_safe = _PLAIN.fullmatch(text) and not text.endswith(" ") and resolve(text) == text
    if is_safe and isinstance(resolve(text), str):
        return text
    if '"' in text and text.isprintable() and not re.search(r"['\\]", text):
        return f"'{text}'"
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
