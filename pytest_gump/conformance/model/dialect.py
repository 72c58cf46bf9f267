"""Which dialect a request is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.conformance.model import anthropic, chat, gemini, responses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_gump.conformance.model.asked import Asked, Call, Event, Json
    from pytest_gump.conformance.model.script import Answer


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    path: str
    """How the request's path ends."""
    read: Callable[[Json, str], Asked]
    events: Callable[[Asked, Answer, Sequence[Call]], Iterator[Event]]
    whole: Callable[[Asked, Answer, Sequence[Call]], dict[str, Any]]
    failure: Callable[[int, str], Json]


DIALECTS: Final = (
    Dialect("anthropic", "/messages", anthropic.read, anthropic.events, anthropic.whole, anthropic.failure),
    Dialect("responses", "/responses", responses.read, responses.events, responses.whole, responses.failure),
    Dialect("chat", "/chat/completions", chat.read, chat.events, chat.whole, chat.failure),
    Dialect("gemini", ":generateContent", gemini.read, gemini.events, gemini.whole, gemini.failure),
    Dialect("gemini", ":streamGenerateContent", gemini.read, gemini.events, gemini.whole, gemini.failure),
)


def dialect_of(path: str) -> Dialect | None:
    return next((one for one in DIALECTS if path.endswith(one.path)), None)
