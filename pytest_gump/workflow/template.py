"""Prompt templates: each `{name}` is replaced in one pass. Placeholders in the inserted text are not replaced.

`{{` and `}}` stand for one brace each. All other braces are plain text, and a `}}` that closes two plain `{` is not
changed. So JSON and code need no escaping.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

_SEGMENT: Final = "[A-Za-z0-9_][A-Za-z0-9_-]*+"
_STATE: Final = rf"steps\.{_SEGMENT}(?:(?:\.|::){_SEGMENT})*+"
_WRITTEN: Final = rf"\{{(?P<name>{_STATE}|{_SEGMENT}(?:\.{_SEGMENT})*+)\}}"
_TOKEN = re.compile(rf"\{{\{{|\}}\}}|{_WRITTEN}|[{{}}\n]")
_NAME = re.compile(rf"\{{\{{|{_WRITTEN}")

BASE_NAMES: Final = ("spec", "error", "diff", "attempt", "output")
PREV_FIELDS: Final = ("output", "comment", "diff")
"""Fields of `{prev.FIELD}`, the attempt before."""
VALUE_NAMES: Final = ("spec", "diff")
"""The names that a value of `with` may use, besides those of inputs, plan items, steps and the run."""
ITEM_NAMES: Final = ("item.name", "item.description", "item.files")
STATE_FIELDS: Final = (
    "output", "comment", "files", "status", "session_id", "agent", "cost", "turns", "duration", "retries",
    "tokens_in", "tokens_out",
)  # fmt: skip
RUN_FIELDS: Final = ("id", "cost", "duration", "tokens_in", "tokens_out", "retries", "status", "workflow", "spec")
ATTEMPT_NAMES: Final = (*BASE_NAMES, *(f"prev.{field}" for field in PREV_FIELDS))
"""The names that prompts and paths of context files may use, besides `gate.NAME` and the names that `allowed` adds."""
_RUN_NAMES: Final = tuple(f"run.{field}" for field in RUN_FIELDS)


class Name(NamedTuple):
    """A placeholder: the text between the braces."""

    text: str


class _Line(NamedTuple):
    parts: tuple[str | Name, ...]
    only_names: bool
    """True if the line has placeholders and spaces only; it is dropped if all values are empty."""


class Template(NamedTuple):
    lines: tuple[_Line, ...]

    def render(self, values: Callable[[str], str] | Mapping[str, str]) -> str:
        """Replace each placeholder with its value.

        Raises:
            KeyError: The mapping has no value for a name.
        """
        look_up = values if callable(values) else values.__getitem__
        return "".join(_render_line(line, look_up) for line in self.lines)


def parse(text: str) -> Template:
    """Parse a text. Every text is a valid template."""
    lines: list[_Line] = []
    parts: list[str | Name] = []
    for part in _parts(text):
        parts.append(part)
        if isinstance(part, str) and part.endswith("\n"):
            lines.append(_line(parts))
            parts = []
    if parts:
        lines.append(_line(parts))
    return Template(tuple(lines))


def written_names(text: str) -> list[tuple[str, int]]:
    """Return the placeholders of a text, duplicates included, each with the offset of its opening brace."""
    return [(match["name"], match.start()) for match in _NAME.finditer(text) if match["name"] is not None]


def only_name(text: str) -> str:
    """Return the placeholder that is the whole text; empty if the text is something else."""
    names = written_names(text)
    return names[0][0] if len(names) == 1 and text.strip() == f"{{{names[0][0]}}}" else ""


def escape(text: str) -> str:
    """Escape the braces of a text, so that it renders to itself."""
    return text.replace("{", "{{").replace("}", "}}")


def canonical(name: str) -> str:
    """Replace the alias `task.` by `item.`."""
    return f"item.{name[5:]}" if name.startswith("task.") else name


def allowed(
    *, in_foreach: bool, inputs: Collection[str] = (), base: Collection[str] = ATTEMPT_NAMES
) -> tuple[str, ...]:
    """Return the names that a template may use, except `steps.REF.FIELD` and `gate.NAME`."""
    items = ITEM_NAMES if in_foreach else ()
    return (*base, *items, *inputs, *_RUN_NAMES)


def varies(name: str) -> bool:
    """True if the value of a name differs between equal runs: it is of earlier attempts, or a figure of the run."""
    head, _, rest = name.partition(".")
    return head in {"run", "prev", "gate"} or (not rest and head in {"error", "diff", "output"})


def _parts(text: str) -> Iterator[str | Name]:
    """Split a text into names and pieces of plain text; a newline ends a piece."""
    plain: list[str] = []
    position = 0
    braces: list[str] = []
    for match in _TOKEN.finditer(text):
        plain.append(text[position : match.start()])
        position = match.end()
        if match["name"] is not None:
            yield from _flush(plain)
            yield Name(match["name"])
            continue
        plain.append(_brace(match[0], braces))
        if match[0] == "\n":
            yield from _flush(plain)
    plain.append(text[position:])
    yield from _flush(plain)


def _flush(plain: list[str]) -> Iterator[str]:
    joined = "".join(plain)
    plain.clear()
    if joined:
        yield joined


def _brace(brace: str, opened: list[str]) -> str:
    """Return the literal text of a brace. `opened` is the stack of open braces."""
    if brace in ("{", "{{"):
        opened.append(brace)
        return "{"
    if brace == "}}" and opened[-2:] == ["{", "{"]:
        del opened[-2:]
        return brace
    if brace != "\n" and opened and len(opened[-1]) == len(brace):
        opened.pop()
    return "}" if brace == "}}" else brace


def _line(parts: list[str | Name]) -> _Line:
    has_names = any(isinstance(part, Name) for part in parts)
    return _Line(tuple(parts), has_names and all(isinstance(part, Name) or part.isspace() for part in parts))


def _render_line(line: _Line, look_up: Callable[[str], str]) -> str:
    values = [look_up(part.text) if isinstance(part, Name) else part for part in line.parts]
    if line.only_names and not any(
        value for part, value in zip(line.parts, values, strict=True) if isinstance(part, Name)
    ):
        return ""
    return "".join(values)
