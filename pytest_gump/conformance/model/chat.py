"""OpenAI's Chat Completions, as Qwen Code and OpenCode use them."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.conformance.model.asked import Asked, Json, Role, Said, Tool, objects, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.conformance.model.asked import Call, Event
    from pytest_gump.conformance.model.script import Answer, Spent

ROLES: Final[Mapping[str, Role]] = {"assistant": "model", "tool": "tool", "user": "user"}
CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def read(body: Json, _path: str) -> Asked:
    functions = [tool.get("function") or {} for tool in objects(body.get("tools"))]
    tools = [Tool(str(function.get("name")), function.get("parameters") or {}) for function in functions]
    said = tuple(
        Said(ROLES[message["role"]], text_of(message.get("content")))
        for message in objects(body.get("messages"))
        if message.get("role") in ROLES
    )
    return Asked(str(body.get("model")), bool(body.get("stream")), said, {tool.name: tool for tool in tools})


def events(asked: Asked, answer: Answer, calls: Sequence[Call]) -> Iterator[Event]:
    message = whole(asked, answer, calls)
    usage = message.pop("usage")
    choice = message.pop("choices")[0]
    chunk = {**message, "object": "chat.completion.chunk"}
    half = len(answer.text) // 2
    parts: list[Json] = [{"role": "assistant", "content": answer.text[:half]}, {"content": answer.text[half:]}]
    calls_made = choice["message"].get("tool_calls", ())
    parts += [{"tool_calls": [{"index": index, **call}]} for index, call in enumerate(calls_made)]
    for delta in parts:
        yield None, {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield None, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield None, {**chunk, "choices": [], "usage": usage}
    yield None, "[DONE]"


def whole(asked: Asked, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex[:16]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": _usage(answer.spent),
    }


def _call(call: Call) -> Json:
    function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}


def _usage(spent: Spent) -> Json:
    read_tokens = spent.input + spent.cache_read
    return {
        "prompt_tokens": read_tokens,
        "prompt_tokens_details": {"cached_tokens": spent.cache_read},
        "completion_tokens": spent.output,
        "completion_tokens_details": {"reasoning_tokens": spent.reasoning},
        "total_tokens": read_tokens + spent.output,
    }


def failure(status: int, message: str) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": CODES.get(status)}}
