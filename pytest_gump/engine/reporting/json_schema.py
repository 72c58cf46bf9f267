"""JSON Schemas of what our commands print, made of typed dictionaries whose fields are described where they stand."""

from __future__ import annotations

import sys
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict  # pydantic takes no other on Python 3.11

DESCRIBED: Final = ConfigDict(use_attribute_docstrings=True)


def one_of(*words: str) -> WithJsonSchema:
    """Words that a ledger holds as plain strings."""
    return WithJsonSchema({"enum": list(words), "type": "string"})


def schema_of(kind: Any, title: str, *, strict: bool) -> dict[str, Any]:
    """Give the schema of a typed dictionary; a strict one refuses fields that it does not name.

    Its parts must be names of the module that `kind` is in.
    """
    schema = TypeAdapter(kind).json_schema()
    shapes = vars(sys.modules[kind.__module__])
    for name, part in schema["$defs"].items():
        inherited = _descriptions(shapes[name])
        for field, value in part["properties"].items():
            if field in inherited:
                value.setdefault("description", inherited[field])
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": title, **_plain(schema, strict=strict)}


def _descriptions(kind: Any) -> dict[str, str]:
    """Give the descriptions of a shape's fields, inherited ones too, which pydantic leaves out."""
    found: dict[str, str] = {}
    for base in getattr(kind, "__orig_bases__", ()):
        if is_typeddict(base):
            found |= _descriptions(base)
    properties = TypeAdapter(kind).json_schema()["properties"]
    return found | {name: part["description"] for name, part in properties.items() if "description" in part}


def _plain(part: Any, *, strict: bool) -> Any:
    """Drop the titles that pydantic makes of names, and close the objects of a strict schema."""
    if isinstance(part, list):
        return [_plain(one, strict=strict) for one in part]
    if not isinstance(part, dict):
        return part
    kept = {
        name: _plain(one, strict=strict)
        for name, one in part.items()
        if name not in {"title", "additionalProperties"} or isinstance(one, dict)
    }
    return kept | {"additionalProperties": False} if strict and "properties" in kept else kept
