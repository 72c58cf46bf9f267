"""Requests to the model and tool calls, in one form for all APIs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_gump.conformance.model.script import MARK

Json = Mapping[str, Any]
Speaker = Literal["user", "model", "tool"]
ServerEvent = tuple[str | None, Json | str]
"""Name and data of a server-sent event."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Speaker
    text: str

    @classmethod
    def of(cls, parts: object, *, by_model: bool, is_tool: bool) -> Message:
        return cls("model" if by_model else "tool" if is_tool else "user", text_of(parts))


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Json = field(default_factory=dict)
    kind: str = "function"
    """`function`, or `custom` for a tool whose input is text."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    model: str
    stream: bool
    messages: tuple[Message, ...]
    tools: Mapping[str, Tool]

    @classmethod
    def of(cls, body: Json, messages: Iterable[Message], tools: Iterable[Tool]) -> ModelRequest:
        """Return a request whose body has `model` and `stream`."""
        return cls(
            str(body.get("model")), bool(body.get("stream")), tuple(messages), {tool.name: tool for tool in tools}
        )

    @property
    def prompt(self) -> str | None:
        """The last prompt of gump in the conversation; None for a request of the CLI itself."""
        prompts = [message.text for message in self.messages if _is_prompt(message)]
        return prompts[-1] if prompts else None

    @property
    def answered(self) -> int:
        """Number of the model's answers since the last prompt."""
        last = max((number for number, message in enumerate(self.messages) if _is_prompt(message)), default=-1)
        return sum(message.role == "model" for message in self.messages[last + 1 :])


@dataclass(frozen=True, slots=True)
class Served:
    """One request to the model, without keys."""

    request: ModelRequest
    text: str
    """Body of the request."""
    with_key: bool
    is_side: bool
    """True for a request of the CLI itself, such as for a title or a summary."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, with the names of one CLI."""

    id: str
    tool: str
    arguments: Json | str
    kind: str = "function"


def _is_prompt(message: Message) -> bool:
    return message.role == "user" and MARK in message.text


def objects(value: object) -> list[Json]:
    """Return the JSON objects of a list; a string counts as one text block."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(blocks: object) -> str:
    return "\n".join(str(block["text"]) for block in objects(blocks) if block.get("text"))


def halves(text: str) -> tuple[str, str]:
    """Split a text into two pieces, for streams."""
    half = len(text) // 2
    return text[:half], text[half:]
