"""The APIs (dialects) of the server, chosen by the path of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pytest_gump.conformance.model import anthropic, chat, gemini, responses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.conformance.model.request import Call, Json, ModelRequest, ServerEvent
    from pytest_gump.conformance.model.script import Answer


class Dialect(Protocol):
    """A module that implements one API."""

    def read(self, body: Json, path: str, /) -> ModelRequest: ...

    def events(self, request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> Iterator[ServerEvent]:
        """Yield a streamed answer."""

    def whole(self, request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]: ...

    def failure(self, status: int, message: str) -> Json: ...


_BY_PATH: Final[Mapping[str, Dialect]] = {
    "/messages": anthropic,
    "/responses": responses,
    "/chat/completions": chat,
    ":generateContent": gemini,
    ":streamGenerateContent": gemini,
}
"""Dialects by the end of a request's path."""


def dialect_of(path: str) -> Dialect | None:
    return next((dialect for end, dialect in _BY_PATH.items() if path.endswith(end)), None)
