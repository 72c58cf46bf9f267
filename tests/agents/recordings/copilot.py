"""Streams of GitHub Copilot CLI. The lines of type `metric`, which the CLI prints after the result, are left out."""

from __future__ import annotations

from pytest_gump.agents.base import Started, ToolCall
from pytest_gump.agents.clis.copilot_stream import CopilotReader

from tests.agents.stream_kit import PLAIN_MESSAGE, End, Recorded, Resumed, failed, line, plain_run

ENDS = {
    "api-400": failed("400 scripted failure 400"),
    "api-401": failed(
        "Authentication failed with provider at http://127.0.0.1:40001/v1 (HTTP 401). Check your COPILOT_PROVIDER_API_KEY, COPILOT_PROVIDER_API_KEY_COMMAND, or COPILOT_PROVIDER_BEARER_TOKEN.",
        notes=("2 API retries",),
    ),
    "api-429": End(
        "quota",
        "Failed to get response from the AI model; retried 5 times (total retry wait time: 61.70 seconds) Last error: 429 scripted failure 429",
        notes=("5 API retries",),
    ),
    "api-429-once": End(
        turns=3, calls=2, tokens=(3900, 1530, 0, 123, 30), context=1920, usd=0.014454, notes=("1 API retry",)
    ),
    "api-500": failed(
        "Failed to get response from the AI model; retried 5 times (total retry wait time: 15.37 seconds) Last error: 500 scripted failure 500",
        notes=("5 API retries",),
    ),
    "apply-patch": End(turns=3, calls=2, tokens=(3900, 1530, 0, 123, 30), context=1920, usd=0.00372825),
    "basic": End(turns=3, calls=2, tokens=(3900, 1530, 0, 123, 30), context=1920, usd=0.014454),
    "big-output": End(turns=2, calls=1, tokens=(2500, 1010, 0, 81, 20), context=1810, usd=0.009318),
    "cache-write": End(turns=2, calls=1, tokens=(2500, 1010, 300, 101), context=1910, usd=0.010443),
    "connection-refused": failed(
        "Could not connect to local model provider at http://127.0.0.1:9/v1. Check that the service is running and the port is correct.",
        notes=("5 API retries",),
    ),
    "diff-step": End(
        turns=5,
        calls=4,
        tokens=(7000, 2600, 0, 210, 50),
        context=2140,
        usd=0.02568,
        notes=(
            "3 tool calls refused (gump_allow_commands can allow more): bash 'curl http://example.org' (2 times), create '/sandbox/home/documents/out.txt'",
        ),
    ),
    "failing-command": End(turns=2, calls=1, tokens=(2500, 1010, 0, 81, 20), context=1810, usd=0.009318),
    "fork": End(turns=2, calls=1, tokens=(2500, 1010, 0, 81, 20), context=1810, usd=0.009318),
    "model-404": failed(
        "Model 'claude-sonnet-4.6' not found on provider at http://127.0.0.1:40001/v1 (HTTP 404). Check that the model is available on your provider."
    ),
    "no-key": failed("exit code 1 without a result: Error: No authentication information found."),
    "no-model": failed(
        "exit code 1 without a result: BYOK providers require an explicit model. Run `copilot help providers` for configuration details."
    ),
    "no-tokens": End(
        turns=2,
        calls=1,
        tokens=(10032, 10000, 0, 22),
        usd=0.008371714,
        notes=("the CLI reported too few tokens for its answers, so they are estimated from the text",),
    ),
    "overloaded": End(
        "quota",
        "Failed to get response from the AI model; retried 5 times (total retry wait time: 14.37 seconds) Last error: 503 Our servers are currently overloaded.",
        notes=("5 API retries",),
    ),
    "parallel-calls": End(turns=2, calls=2, tokens=(2500, 1010, 0, 81, 20), context=1810, usd=0.009318),
    "read-only-step": End(
        turns=4,
        calls=3,
        tokens=(5400, 2060, 0, 166, 40),
        context=2030,
        usd=0.019908,
        notes=("1 tool call refused: create '/sandbox/repo/a.txt'",),
    ),
    "resume": End(turns=2, calls=1, tokens=(2500, 1010, 0, 81, 20), context=1810, usd=0.009318),
    "resume-1": End(turns=3, calls=2, tokens=(3900, 1530, 0, 123, 30), context=1920, usd=0.014454),
    "resume-unknown": failed(
        "exit code 1 without a result: Error: No session, task, or name matched '11111111-2222-4333-8444-555555555555'."
    ),
    "sigterm": failed(
        "the CLI was interrupted: user_abort", turns=1, calls=1, tokens=(1200, 500, 0, 40, 10), context=1700, usd=0.0045
    ),
    "stream-cut": failed(
        "Failed to get response from the AI model; retried 5 times (total retry wait time: 5.00 seconds) Last error: Failed native model HTTP request: error decoding response body: error reading a body from connection: unexpected EOF during chunk size line",
        turns=1,
        tokens=(10000,),
        usd=0.03,
        notes=("5 API retries",),
    ),
}

EVENTS = plain_run(Started(None, None), writes=ToolCall("create", path="/sandbox/repo/hello.py"), runs="bash")

COPILOT = Recorded(
    "copilot",
    CopilotReader,
    by="estimated",
    ends=ENDS,
    events=EVENTS,
    message=PLAIN_MESSAGE,
    resumed=tuple(
        Resumed("resume-1", second, (2500, 1010, 0, 81, 20), 0.009318, same_id=second == "resume")
        for second in ("resume", "fork")
    ),
    shows={
        "no final event": "resume-unknown",
        "not logged in": "no-key",
        "unknown model": "model-404",
        "stream cut": "stream-cut",
        "out of quota": "api-429",
    },
    total=5583,
    rates=(3.0, 0.3, 3.75, 15.0),
    unfinished="exit code 0 without a result",
    bad_exit="exit code 1 after a successful result: boom",
    meaningless=(
        line(type="session.info", data={"message": "x"}),
        line(type="assistant.turn_start", data={}),
        line(type="span", attributes={"gen_ai.operation.name": "execute_tool"}),
    ),
    large=lambda text: line(type="tool.execution_complete", data={"success": True, "result": {"content": text}}),
)
