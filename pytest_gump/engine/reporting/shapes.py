"""Shapes of the JSON that commands print: each field with its type and meaning. Data and schemas follow them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

Data = dict[str, Any]
SECONDS: Final[Any] = Annotated[float, "rounded to milliseconds"]
TIME: Final[Any] = Annotated[str, "seconds since the epoch, as ISO 8601 in UTC"]


class Shape:
    """A JSON object and its fields.

    The kind of a field is a Python type, SECONDS, TIME, another shape, a list with the kind of its entries, or a tuple
    of alternatives.
    """

    def __init__(self, name: str, text: str, /, **fields: tuple[Any, str]) -> None:
        self.name = name
        self.text = text
        self.fields = fields

    def fill(self, *sources: object, **given: Any) -> Data:
        """Return the object: each field that is not given comes from the first source with an attribute of its name."""
        return {
            name: given[name] if name in given else _plain(kind, _attribute(sources, name))
            for name, (kind, _) in self.fields.items()
        }


def one_of(*values: str) -> Any:
    """Return the kind of a string with one of these values."""
    return Literal.__getitem__(values)


def schema_of(shape: Shape, title: str, *, strict: bool = False) -> Data:
    """Return the JSON Schema of a shape; a strict schema refuses unknown fields."""
    parts: dict[str, Data] = {}
    whole = _object(shape, parts, strict=strict)
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": title, "$defs": dict(sorted(parts.items())), **whole}


def schema_text(shape: Shape, title: str) -> str:
    return json.dumps(schema_of(shape, title), indent=2) + "\n"


def time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _attribute(sources: tuple[object, ...], name: str) -> Any:
    source = next((source for source in sources if hasattr(source, name)), None)
    return getattr(source, name)


def _plain(kind: Any, value: Any) -> Any:
    if isinstance(kind, Shape):
        return kind.fill(value)
    if isinstance(kind, list):
        return [_plain(kind[0], entry) for entry in value]
    if kind is SECONDS:
        return round(value, 3)
    if kind is TIME:
        return time_text(value)
    return [*value] if isinstance(value, tuple) else value


def _object(shape: Shape, parts: dict[str, Data], *, strict: bool) -> Data:
    def schema(kind: Any) -> Data:
        from pydantic import TypeAdapter

        if isinstance(kind, Shape):
            if kind.name not in parts:
                parts[kind.name] = _object(kind, parts, strict=strict)
            return {"$ref": f"#/$defs/{kind.name}"}
        if isinstance(kind, list):
            return {"items": schema(kind[0]), "type": "array"}
        if isinstance(kind, tuple):
            return {"anyOf": [schema(alternative) for alternative in kind]}
        return TypeAdapter(kind).json_schema()

    properties = {
        name: dict(sorted({**schema(kind), "description": text}.items())) for name, (kind, text) in shape.fields.items()
    }
    required = [*shape.fields]
    closed = {"additionalProperties": False} if strict else {}
    return {"description": shape.text, "properties": properties, "required": required, "type": "object", **closed}
