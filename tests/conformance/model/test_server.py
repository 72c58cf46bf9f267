"""The scripted model server gets requests in the form of each CLI."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.conformance.model.script import MARK, Answer, Fault, Scene, Script, Shell, Spent, Write, script
from pytest_gump.conformance.model.server import ModelServer

from tests.kits.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROMPT = f"{MARK}\n\nDo it."
ACTING = Answer("I act.", (Write("a.txt", "one\n"), Shell("make")))
DONE = Answer("Done.")
KEY = "sk-very-secret"

CHAT_TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"required": required, "properties": {}}}}
    for name, required in (
        ("write_file", ["file_path", "content"]),
        ("run_shell_command", ["command", "is_background"]),
    )
]


def post(server: ModelServer, path: str, body: Mapping[str, Any]) -> Any:
    """Return the JSON of an answer, or the data of its events."""
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    with contextlib.closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", path, json.dumps(body), sent)
        with connection.getresponse() as response:
            text = response.read().decode()
    if response.getheader("Content-Type") == "application/json":
        return {**json.loads(text), "status": response.status}
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


def chat(*later: Mapping[str, Any], stream: bool = False, prompt: str = PROMPT) -> dict[str, Any]:
    messages = [{"role": "system", "content": "You work in /w/slot."}, {"role": "user", "content": prompt}, *later]
    return {"model": "m", "stream": stream, "messages": messages, "tools": CHAT_TOOLS}


def test_anthropic_messages_stream_text_tool_calls_and_usage(tmp_path: Path) -> None:
    body = {
        "model": "claude-x",
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}],
        "tools": [{"name": "Write", "input_schema": {}}],
        "system": f"cwd: {tmp_path}/slot",
    }
    with ModelServer("claude", script(ACTING, DONE), tmp_path) as server:
        events = post(server, "/v1/messages?beta=true", body)
    assert [event["type"] for event in events][:2] == ["message_start", "content_block_start"]
    assert events[0]["message"]["model"] == "claude-x"
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [start.get("name") for start in starts] == [None, "Write", "Bash"]
    arguments = [event["delta"]["partial_json"] for event in events if "partial_json" in event.get("delta", {})]
    assert json.loads(arguments[0]) == {"file_path": f"{tmp_path}/slot/a.txt", "content": "one\n"}
    assert events[-2]["usage"]["cache_creation_input_tokens"] == Spent().cache_write
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_responses_call_the_patch_tool_of_codex_with_plain_text(tmp_path: Path) -> None:
    body = {
        "model": "gpt-x",
        "stream": True,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}]}],
        "tools": [{"type": "custom", "name": "apply_patch"}, {"type": "function", "name": "exec_command"}],
    }
    with ModelServer("codex", script(ACTING, DONE), tmp_path) as server:
        events = post(server, "/v1/responses", body)
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in items] == ["message", "custom_tool_call", "function_call"]
    assert items[1]["input"] == "*** Begin Patch\n*** Add File: a.txt\n+one\n*** End Patch"
    usage = events[-1]["response"]["usage"]
    assert usage["input_tokens"] == Spent().input + Spent().cache_read


def test_several_tool_calls_of_codex_are_one_answer(tmp_path: Path) -> None:
    user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}]}
    calls = [
        {"type": "message", "role": "assistant", "content": []},
        {"type": "custom_tool_call"},
        {"type": "reasoning"},
    ]
    outputs = [{"type": "custom_tool_call_output"}, {"type": "function_call_output"}]
    body = {"model": "m", "input": [user, *calls, *outputs], "tools": [{"type": "function", "name": "exec_command"}]}
    with ModelServer("codex", script(ACTING, DONE), tmp_path) as server:
        answer = post(server, "/v1/responses", body)
    assert answer["output"][0]["content"][0]["text"] == "Done."


def test_chat_fills_in_required_arguments_of_a_tool(tmp_path: Path) -> None:
    with ModelServer("qwen", script(ACTING), tmp_path) as server:
        whole = post(server, "/v1/chat/completions", chat())
        chunks = post(server, "/v1/chat/completions", chat(stream=True))
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert json.loads(calls[1]["function"]["arguments"]) == {
        "command": "make",
        "is_background": "scripted is_background",
    }
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-2]) == "I act."
    assert chunks[-2]["usage"] == whole["usage"]
    assert chunks[-1] == "[DONE]"


def test_gemini_marks_thoughts_and_reads_the_model_from_the_path(tmp_path: Path) -> None:
    tools = [{"functionDeclarations": [{"name": "write_file", "parametersJsonSchema": {}}]}]
    body = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}], "tools": tools}
    with ModelServer("gemini", script(ACTING), tmp_path) as server:
        events = post(server, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", body)
    assert {event["modelVersion"] for event in events} == {"gemini-x"}
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["name"] for part in parts if "functionCall" in part] == [
        "write_file",
        "run_shell_command",
    ]
    usage = events[-1]["usageMetadata"]
    assert usage["candidatesTokenCount"] + usage["thoughtsTokenCount"] == Spent().output


def test_the_next_answer_depends_on_the_conversation(tmp_path: Path) -> None:
    tool = [{"role": "assistant", "content": "I act."}, {"role": "tool", "content": "ok"}]
    with ModelServer("qwen", script(ACTING, DONE), tmp_path) as server:
        said = [
            post(server, "/v1/chat/completions", chat(*later))["choices"][0]["message"]["content"]
            for later in ((), (), tool, tool, [*tool, {"role": "user", "content": PROMPT}])
        ]
    assert said == ["I act.", "I act.", "Done.", "Done.", "I act."]


def test_an_endless_scene_starts_again(tmp_path: Path) -> None:
    tool = [{"role": "assistant", "content": "I act."}, {"role": "tool", "content": "ok"}]
    with ModelServer("qwen", script(ACTING, endless=True), tmp_path) as server:
        answer = post(server, "/v1/chat/completions", chat(*tool, *tool))
    assert answer["choices"][0]["message"]["content"] == "I act."


def test_a_scene_answers_prompts_that_contain_its_text(tmp_path: Path) -> None:
    both = Script((Scene((DONE,), match="tests"), Scene((ACTING,), match="code")))
    with ModelServer("qwen", both, tmp_path) as server:
        answer = post(server, "/v1/chat/completions", chat(prompt=f"{MARK}\n\nWrite the code."))
    assert answer["choices"][0]["message"]["content"] == "I act."


def test_side_requests_of_a_cli_are_answered_and_marked(tmp_path: Path) -> None:
    with ModelServer("qwen", script(ACTING), tmp_path) as server:
        titled = post(server, "/v1/chat/completions", {**chat(), "tools": []})
        post(server, "/v1/chat/completions", chat(prompt="Summarise this."))
    assert titled["choices"][0]["message"]["content"] == "{}"
    assert [one.is_side for one in server.served] == [True, True]
    assert server.main == []


@pytest.mark.parametrize(("path", "found"), [("/v1/messages", "error"), ("/v1/chat/completions", "error")])
def test_a_fault_is_sent_in_the_dialect_the_given_number_of_times(path: str, found: str, tmp_path: Path) -> None:
    with ModelServer("qwen", script(DONE, fault=Fault(429, times=1, message="slow down")), tmp_path) as server:
        first, second = (post(server, path, chat()) for _ in range(2))
    assert (first["status"], first[found]["message"]) == (429, "slow down")
    assert second["status"] == 200


def test_a_cut_stream_ends_without_its_last_events(tmp_path: Path) -> None:
    with (
        ModelServer("qwen", script(Answer("This is cut.", cut=True)), tmp_path) as server,
        pytest.raises(http.client.IncompleteRead),
    ):
        post(server, "/v1/chat/completions", chat(stream=True))


def test_keys_are_not_stored(tmp_path: Path) -> None:
    with ModelServer("qwen", script(DONE), tmp_path, secrets=(KEY,)) as server:
        post(server, "/v1/chat/completions", chat(prompt=f"{PROMPT} My key is {KEY}."))
    (served,) = server.served
    assert served.with_key
    assert KEY not in served.text
    assert "***" in served.text


def test_requests_for_other_hosts_are_refused_and_noted(tmp_path: Path) -> None:
    with ModelServer("qwen", script(DONE), tmp_path) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        connection.request("CONNECT", "example.org:443")
        assert connection.getresponse().status == 403
        connection.close()
        connection.request("GET", "http://example.org/telemetry")
        assert connection.getresponse().status == 403
        connection.close()
    assert server.strays == ["example.org:443", "example.org"]


def test_a_delay_ends_when_the_client_disconnects(tmp_path: Path) -> None:
    with ModelServer("qwen", script(Answer("Late.", delay_s=60)), tmp_path) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=0.3)
        connection.request("POST", "/v1/chat/completions", json.dumps(chat()), {"Authorization": "x"})
        with pytest.raises(TimeoutError):
            connection.getresponse()
        assert len(answering()) == 1
        connection.close()
        wait_until(lambda: not answering(), 30)


def answering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]
