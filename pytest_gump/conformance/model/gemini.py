"""The generateContent API of Gemini."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.conformance.model.request import Json, Message, ModelRequest, Tool, halves, objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.conformance.model.request import Call, ServerEvent
    from pytest_gump.conformance.model.script import Answer, Spent

STATUS: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def read(body: Json, path: str) -> ModelRequest:
    model, _, method = path.rpartition("/")[2].partition(":")
    declared = [found for tool in objects(body.get("tools")) for found in objects(tool.get("functionDeclarations"))]
    tools = [
        Tool(str(found.get("name")), found.get("parametersJsonSchema") or found.get("parameters") or {})
        for found in declared
    ]
    stream = method.startswith("stream")
    return ModelRequest.of({"model": model, "stream": stream}, map(_message, objects(body.get("contents"))), tools)


def _message(content: Json) -> Message:
    parts = objects(content.get("parts"))
    is_tool = any("functionResponse" in part for part in parts)
    return Message.of(parts, by_model=content.get("role") == "model", is_tool=is_tool)


def events(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> Iterator[ServerEvent]:
    message = whole(request, answer, calls)
    candidate = message["candidates"][0]
    parts = candidate["content"]["parts"]
    for number, part in enumerate(parts, start=1):
        piece: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if number == len(parts):
            piece["finishReason"] = "STOP"
        yield None, {**message, "candidates": [piece]}


def whole(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]:
    parts: list[Json] = [{"text": text} for text in halves(answer.text)]
    parts += [{"functionCall": {"name": call.tool, "args": call.arguments}} for call in calls]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}],
        "usageMetadata": _usage(answer.spent),
        "modelVersion": request.model,
        "responseId": uuid.uuid4().hex[:16],
    }


def _usage(spent: Spent) -> Json:
    read_tokens = spent.input + spent.cache_read
    return {
        "promptTokenCount": read_tokens,
        "cachedContentTokenCount": spent.cache_read,
        "candidatesTokenCount": spent.output - spent.reasoning,
        "thoughtsTokenCount": spent.reasoning,
        "totalTokenCount": read_tokens + spent.output,
    }


def failure(status: int, message: str) -> Json:
    return {"error": {"code": status, "message": message, "status": STATUS.get(status, "UNKNOWN")}}
