"""Generates the JSON Schema of workflow files from `keys.py`.

`python -m pytest_gump.workflow.schema` writes it to `workflows/workflow.schema.json`, where editors find it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema

from pytest_gump.workflow.find import builtin_folder
from pytest_gump.workflow.keys import StepKeys, WorkflowKeys, Written, key_of
from pytest_gump.workflow.reading.original import RECIPE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

FILE_NAME: Final = "workflow.schema.json"
_STRICT: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True, alias_generator=key_of)


class _Generator(GenerateJsonSchema):
    """Gives optional keys the schema of their value, because `null` is not the same as an absent key."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        value = schema["schema"]
        if schema.get("default") is None and value["type"] == "nullable":
            return self.generate_inner(value["schema"])
        return super().default_schema(schema)


def json_schema(
    *, agents: Sequence[str] = (), gates: Sequence[str] = (), workflows: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the JSON Schema of workflow files.

    Args:
        agents: Names that editors propose for an agent. Other names are also valid: `CLI:MODEL`.
        gates: Names that editors propose for a gate. Other names are also valid.
        workflows: Names that editors propose for a call or a validator. Files are also valid.
    """
    for keys in Written.__subclasses__():
        with_config(_STRICT)(dataclass(init=False, eq=False, repr=False)(keys))
    schema = TypeAdapter(WorkflowKeys).json_schema(schema_generator=_Generator)
    whole = {"$schema": GenerateJsonSchema.schema_dialect, **_without_titles(schema)}
    step = whole["$defs"][StepKeys.__name__]["properties"]
    step[RECIPE] = {**step["workflow"], "description": "The old name of `workflow`.", "deprecated": True}
    names = {"agent": agents, "escalate": agents, "replan": agents, "gate": gates}
    names |= {"workflow": workflows, RECIPE: workflows, "validate": workflows}
    if agents:
        names["strategy"] = ["same", *(f"escalate: {agent}" for agent in agents)]
    named: dict[str, Any] = _with_names(whole, names)
    return named


def text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


def write(folder: Path | None = None) -> Path:
    path = (folder or builtin_folder()) / FILE_NAME
    path.write_text(text(), encoding="utf-8")
    return path


def _with_names(part: Any, names: Mapping[str, Sequence[str]]) -> Any:
    """Add proposals to the schemas of the keys in `names`. Any other text is also valid."""
    if isinstance(part, list):
        return [_with_names(entry, names) for entry in part]
    if not isinstance(part, dict):
        return part
    changed = {key: _with_names(value, names) for key, value in part.items()}
    properties = part.get("properties")
    if isinstance(properties, dict):
        known = {key: _proposing(value, names[key]) for key, value in properties.items() if names.get(key)}
        changed["properties"] = {**changed["properties"], **known}
    return changed


def _proposing(schema: Any, names: Sequence[str]) -> Any:
    if isinstance(schema, list):
        return [_proposing(entry, names) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "string":
        kept = {key: value for key, value in schema.items() if key != "description"}
        said = {key: value for key, value in schema.items() if key == "description"}
        return {**said, "anyOf": [{"enum": [*names]}, kept]}
    return {key: _proposing(value, names) if key in {"items", "anyOf"} else value for key, value in schema.items()}


def _without_titles(schema: Any) -> Any:
    """Remove the titles that pydantic generates from names, but not a property named `title`."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_titles(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)}


if __name__ == "__main__":
    write()
