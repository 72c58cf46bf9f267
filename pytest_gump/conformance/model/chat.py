"""The Chat Completions API of OpenAI, as Qwen Code and OpenCode use it."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.conformance.model.request import Json, Message, ModelRequest, Speaker, Tool, halves, objects, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.conformance.model.request import Call, ServerEvent
    from pytest_gump.conformance.model.script import Answer, Spent

ROLES: Final[Mapping[str, Speaker]] = {"assistant": "model", "tool": "tool", "user": "user"}
CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def read(body: Json, _path: str) -> ModelRequest:
    functions = [tool.get("function") or {} for tool in objects(body.get("tools"))]
    tools = [Tool(str(function.get("name")), function.get("parameters") or {}) for function in functions]
    messages = (
        Message(ROLES[message["role"]], text_of(message.get("content")))
        for message in objects(body.get("messages"))
        if message.get("role") in ROLES
    )
    return ModelRequest.of(body, messages, tools)


def events(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> Iterator[ServerEvent]:
    message = whole(request, answer, calls)
    spent = message.pop("usage")
    choice = message.pop("choices")[0]
    chunk = {**message, "object": "chat.completion.chunk"}
    first, rest = halves(answer.text)
    parts: list[Json] = [{"role": "assistant", "content": first}, {"content": rest}]
    calls_made = choice["message"].get("tool_calls", ())
    parts += [{"tool_calls": [{"index": index, **call}]} for index, call in enumerate(calls_made)]
    for delta in parts:
        yield None, {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield None, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield None, {**chunk, "choices": [], "usage": spent}
    yield None, "[DONE]"


def whole(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex[:16]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": usage(answer.spent, "prompt", "completion"),
    }


def _call(call: Call) -> Json:
    function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}


def usage(spent: Spent, read_name: str, written_name: str) -> Json:
    """Return usage as OpenAI counts it; its two APIs have different names for tokens read and written."""
    read_tokens = spent.input + spent.cache_read
    return {
        f"{read_name}_tokens": read_tokens,
        f"{read_name}_tokens_details": {"cached_tokens": spent.cache_read},
        f"{written_name}_tokens": spent.output,
        f"{written_name}_tokens_details": {"reasoning_tokens": spent.reasoning},
        "total_tokens": read_tokens + spent.output,
    }


def failure(status: int, message: str) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": CODES.get(status)}}
