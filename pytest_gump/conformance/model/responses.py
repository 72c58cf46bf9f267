"""The Responses API of OpenAI, as Codex uses it."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from pytest_gump.conformance.model.chat import failure as chat_failure
from pytest_gump.conformance.model.chat import usage
from pytest_gump.conformance.model.request import Json, Message, ModelRequest, Speaker, Tool, halves, objects, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.conformance.model.request import Call, ServerEvent
    from pytest_gump.conformance.model.script import Answer


def read(body: Json, _path: str) -> ModelRequest:
    tools = (tool for entry in objects(body.get("tools")) for tool in _tools(entry))
    return ModelRequest.of(body, _messages(body.get("input")), tools)


def _tools(entry: Json) -> list[Tool]:
    kind = str(entry.get("type"))
    if kind == "namespace":
        return [tool for inner in objects(entry.get("tools")) for tool in _tools(inner)]
    return [Tool(str(entry.get("name") or kind), entry.get("parameters") or {}, kind)]


def _messages(items: object) -> Iterator[Message]:
    """Yield messages. All items of the model between two outputs of tools are one answer."""
    answering = False
    for item in objects(items):
        kind = item.get("type", "message")
        if kind == "reasoning" or (kind == "message" and item.get("role") in {"developer", "system"}):
            continue
        role: Speaker = "tool" if kind.endswith("_output") else "user" if item.get("role") == "user" else "model"
        if role == "model" and answering:
            continue
        answering = role == "model"
        yield Message(role, text_of(item.get("content")))


def events(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> Iterator[ServerEvent]:
    response = whole(request, answer, calls)
    for number, event in enumerate(_events(response)):
        yield event["type"], {**event, "sequence_number": number}


def _events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    opened = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": opened}
    for index, item in enumerate(response["output"]):
        position = {"output_index": index}
        is_text = item["type"] == "message"
        yield {"type": "response.output_item.added", **position, "item": {**item, "content": []} if is_text else item}
        if is_text:
            part = {**position, "item_id": item["id"], "content_index": 0}
            text = item["content"][0]["text"]
            for piece in halves(text):
                yield {"type": "response.output_text.delta", **part, "delta": piece}
            yield {"type": "response.output_text.done", **part, "text": text}
        yield {"type": "response.output_item.done", **position, "item": item}
    yield {"type": "response.completed", "response": response}


def whole(request: ModelRequest, answer: Answer, calls: Sequence[Call]) -> dict[str, Any]:
    content = [{"type": "output_text", "text": answer.text, "annotations": []}]
    done = {"status": "completed"}
    items: list[Json] = [{"type": "message", "id": _id("msg"), "role": "assistant", **done, "content": content}]
    items += [{**_call(call), **done} for call in calls]
    return {
        "id": _id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "model": request.model,
        **done,
        "output": items,
        "usage": usage(answer.spent, "input", "output"),
    }


def _call(call: Call) -> Json:
    same = {"call_id": _id("call"), "name": call.tool}
    if call.kind == "custom":
        return {"type": "custom_tool_call", "id": _id("ctc"), **same, "input": call.arguments}
    return {"type": "function_call", "id": _id("fc"), **same, "arguments": json.dumps(call.arguments)}


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"


def failure(status: int, message: str) -> Json:
    body = chat_failure(status, message)
    return {"error": {**body["error"], "code": "server_is_overloaded"}} if status == 503 else body
