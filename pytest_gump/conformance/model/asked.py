"""What a request asks for, whatever its dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_gump.conformance.model.script import MARK

Json = Mapping[str, Any]
Role = Literal["user", "model", "tool"]
Event = tuple[str | None, Json | str]
"""Name and data of a server-sent event."""


@dataclass(frozen=True, slots=True)
class Said:
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Json = field(default_factory=dict)
    kind: str = "function"
    """Or `custom`: its input is text."""


@dataclass(frozen=True, slots=True)
class Asked:
    model: str
    stream: bool
    said: tuple[Said, ...]
    tools: Mapping[str, Tool]

    @property
    def prompt(self) -> str | None:
        """The last prompt of gump in the conversation; None for what the CLI asks on its own account."""
        prompts = [said.text for said in self.said if _is_prompt(said)]
        return prompts[-1] if prompts else None

    @property
    def answered(self) -> int:
        """How often the model has answered since then."""
        last = max((place for place, said in enumerate(self.said) if _is_prompt(said)), default=-1)
        return sum(said.role == "model" for said in self.said[last + 1 :])


@dataclass(frozen=True, slots=True)
class Served:
    """One request to the model; keys are not kept."""

    at: float
    dialect: str
    asked: Asked
    text: str
    """The body."""
    with_key: bool
    status: int
    is_side: bool
    """Asked by the CLI on its own account: a title, a summary."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call in the words of one CLI."""

    id: str
    tool: str
    arguments: Json | str
    kind: str = "function"


def _is_prompt(said: Said) -> bool:
    return said.role == "user" and MARK in said.text


def objects(value: object) -> list[Json]:
    """The JSON objects of a list; a text counts as one block."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(blocks: object) -> str:
    return "\n".join(str(one["text"]) for one in objects(blocks) if one.get("text"))
