"""The JSON Schema of the language, generated from `shape.py`.

`python -m pytest_gump.workflow.schema` writes it to `workflows/workflow.schema.json`, where editors find it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema

from pytest_gump.workflow.find import builtin_folder
from pytest_gump.workflow.shape import WorkflowKeys, Written

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

FILE_NAME: Final = "workflow.schema.json"
_STRICT: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class _Generator(GenerateJsonSchema):
    """An absent key is not the same as `null`: optional keys keep the schema of their value."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = super().default_schema(schema)
        if schema.get("default") is None:
            inner.pop("default", None)
        return inner


def json_schema() -> dict[str, Any]:
    """Give the schema that editors and CI check workflow files with."""
    for keys in Written.__subclasses__():
        with_config(_STRICT)(dataclass(init=False, eq=False, repr=False)(keys))
    schema = TypeAdapter(WorkflowKeys).json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **_without_titles(schema)}


def text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


def write(folder: Path | None = None) -> Path:
    path = (folder or builtin_folder()) / FILE_NAME
    path.write_text(text(), encoding="utf-8")
    return path


def _without_titles(schema: Any) -> Any:
    """Drop the titles that pydantic makes from names; a property that is called `title` stays."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_titles(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)}


if __name__ == "__main__":
    write()
