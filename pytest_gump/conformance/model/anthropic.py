"""Anthropic's Messages."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from pytest_gump.conformance.model.asked import Asked, Json, Role, Said, Tool, objects, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.conformance.model.asked import Call, Event
    from pytest_gump.conformance.model.script import Answer, Spent

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def read(body: Json, _path: str) -> Asked:
    tools = [Tool(str(tool.get("name")), tool.get("input_schema") or {}) for tool in objects(body.get("tools"))]
    said = tuple(_said(message) for message in objects(body.get("messages")))
    return Asked(str(body.get("model")), bool(body.get("stream")), said, {tool.name: tool for tool in tools})


def _said(message: Json) -> Said:
    blocks = objects(message.get("content"))
    is_tool = any(block.get("type") == "tool_result" for block in blocks)
    role: Role = "model" if message.get("role") == "assistant" else "tool" if is_tool else "user"
    return Said(role, text_of(blocks))


def events(asked: Asked, answer: Answer, calls: Sequence[Call]) -> Iterator[Event]:
    message = whole(asked, answer, calls)
    start = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        place = {"index": index}
        yield "content_block_start", {"type": "content_block_start", **place, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield "content_block_delta", {"type": "content_block_delta", **place, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", **place}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": message["usage"]}
    yield "message_stop", {"type": "message_stop"}


def _empty(block: Json) -> Json:
    return {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}


def _deltas(block: Json) -> Iterator[Json]:
    if block["type"] == "text":
        half = len(block["text"]) // 2
        yield {"type": "text_delta", "text": block["text"][:half]}
        yield {"type": "text_delta", "text": block["text"][half:]}
    else:
        yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}


def whole(asked: Asked, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]:
    blocks: list[Json] = [{"type": "text", "text": answer.text}]
    blocks += [
        {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": call.tool, "input": call.arguments}
        for call in calls
    ]
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": blocks,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": _usage(answer.spent),
    }


def _usage(spent: Spent) -> Json:
    return {
        "input_tokens": spent.input,
        "cache_creation_input_tokens": spent.cache_write,
        "cache_read_input_tokens": spent.cache_read,
        "output_tokens": spent.output,
    }


def failure(status: int, message: str) -> Json:
    return {"type": "error", "error": {"type": KINDS.get(status, "api_error"), "message": message}}
