"""The Messages API of Anthropic."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from pytest_gump.conformance.model.request import Json, Message, ModelRequest, Tool, halves, objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.conformance.model.request import Call, ServerEvent
    from pytest_gump.conformance.model.script import Answer, Spent

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def read(body: Json, _path: str) -> ModelRequest:
    tools = [Tool(str(tool.get("name")), tool.get("input_schema") or {}) for tool in objects(body.get("tools"))]
    return ModelRequest.of(body, map(_message, objects(body.get("messages"))), tools)


def _message(message: Json) -> Message:
    blocks = objects(message.get("content"))
    is_tool = any(block.get("type") == "tool_result" for block in blocks)
    return Message.of(blocks, by_model=message.get("role") == "assistant", is_tool=is_tool)


def events(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> Iterator[ServerEvent]:
    message = whole(request, answer, calls)
    start = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        position = {"index": index}
        yield "content_block_start", {"type": "content_block_start", **position, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield "content_block_delta", {"type": "content_block_delta", **position, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", **position}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": message["usage"]}
    yield "message_stop", {"type": "message_stop"}


def _empty(block: Json) -> Json:
    return {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}


def _deltas(block: Json) -> Iterator[Json]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": text} for text in halves(block["text"]))
    else:
        yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}


def whole(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]:
    blocks: list[Json] = [{"type": "text", "text": answer.text}]
    blocks += [
        {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": call.tool, "input": call.arguments}
        for call in calls
    ]
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
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
