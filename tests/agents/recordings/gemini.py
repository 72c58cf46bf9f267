from __future__ import annotations

from pytest_gump.agents.base import Started, ToolCall
from pytest_gump.agents.clis.gemini_stream import GeminiReader

from tests.agents.stream_kit import PLAIN_MESSAGE, End, Recorded, Resumed, failed, line, plain_run

ENDS = {
    "api-400": failed(
        '[API Error: {"error":{"code":400,"message":"scripted failure 400","status":"INVALID_ARGUMENT"}}]'
    ),
    "api-401": failed(
        '[API Error: {"error":{"code":401,"message":"scripted failure 401","status":"UNAUTHENTICATED"}}]'
    ),
    "api-429": End("quota", "[API Error: scripted failure 429]", notes=("9 API retries",)),
    "api-429-once": End(turns=3, calls=2, tokens=(3900, 1530, 0, 153, 21), usd=0.00680625, notes=("1 API retry",)),
    "api-500": failed(
        '[API Error: {"error":{"code":500,"message":"scripted failure 500","status":"INTERNAL"}}]',
        notes=("9 API retries",),
    ),
    "basic": End(turns=3, calls=2, tokens=(3900, 1530, 0, 153, 21), usd=0.00680625),
    "big-output": End(turns=2, calls=1, tokens=(2500, 1010, 0, 101, 14), usd=0.00440125),
    "connection-refused": failed(
        "[API Error: exception TypeError: fetch failed sending request]", notes=("9 API retries",)
    ),
    "failing-command": End(turns=2, calls=1, tokens=(2500, 1010, 0, 101, 14), usd=0.00440125),
    "model-404": failed(
        (
            "[API Error: models/gemini-nope-1 is not found for API version v1beta, or is not supported for "
            "generateContent.]"
        ),
        usd=None,
    ),
    "no-key": failed(
        "exit code 41 without a result: When using Gemini API, you must specify the GEMINI_API_KEY"
        " environment variable."
    ),
    "readonly": End(
        turns=3,
        calls=2,
        tokens=(3900, 1530, 0, 153, 21),
        usd=0.00680625,
        notes=(
            "2 tool calls refused (gump_allow_commands can allow more): write_file '/sandbox/repo/gemini/readonly/hello.py', run_shell_command 'python3 hello.py > out.txt; cat out.txt'",
        ),
    ),
    "resume": End(turns=2, calls=1, tokens=(2500, 1010, 0, 101, 14), usd=0.00440125),
    "resume-1": End(turns=3, calls=2, tokens=(3900, 1530, 0, 153, 21), usd=0.00680625),
    "resume-unknown": failed(
        "exit code 42 without a result: Error resuming session: No previous sessions found for this project."
    ),
    "sigterm": failed(
        "[API Error: exception TypeError: fetch failed sending request]",
        turns=1,
        calls=1,
        tokens=(1200, 500, 0, 50, 7),
        usd=0.0021325,
        notes=("9 API retries",),
    ),
    "sigterm-group": failed("exit code 0 without a result", turns=1, calls=1, tokens=(10000, 0, 0, 24), usd=0.01274),
    "stream-cut": failed("[API Error: terminated]"),
    "turn-limit": failed(
        (
            "Reached max session turns for this session. Increase the number of turns by specifying "
            "maxSessionTurns in settings.json."
        ),
        turns=2,
        calls=2,
        tokens=(2500, 1010, 0, 101, 14),
        usd=0.00440125,
        limit="max_turns",
    ),
    "usage-limit": End(
        "quota", "[API Error: You exceeded your current quota, please check your plan and billing details."
    ),
    "write-outside-cwd": End(
        turns=2,
        calls=1,
        tokens=(2500, 1010, 0, 101, 14),
        usd=0.00440125,
        notes=("1 tool call refused: write_file '/sandbox/home/gemini/outside.txt'",),
    ),
    "x-auto-model": End(turns=2, calls=1, tokens=(3700, 1510, 0, 151, 21), usd=0.0028995),
    "x-loop": failed(
        "Loop detected, stopping execution",
        turns=5,
        calls=4,
        tokens=(4000, 2000, 0, 160, 40),
        usd=0.00725,
        notes=("Loop detected, stopping execution",),
    ),
    "x-maxturns-parallel": failed(
        (
            "Reached max session turns for this session. Increase the number of turns by specifying "
            "maxSessionTurns in settings.json."
        ),
        turns=3,
        calls=6,
        tokens=(3900, 1530, 0, 153, 21),
        usd=0.00680625,
        limit="max_turns",
    ),
    "x-parallel-calls": End(turns=2, calls=2, tokens=(2500, 1010, 0, 101, 14), usd=0.00440125),
    "x-think": End(turns=1, tokens=(1200, 500, 0, 50, 7), usd=0.0021325),
}

EVENTS = plain_run(
    Started("32269515-523c-4ca3-a30c-d806e20f32ab", "gemini-2.5-pro"),
    writes=ToolCall("write_file", path="/sandbox/repo/gemini/basic/hello.py"),
    runs="run_shell_command",
)

GEMINI = Recorded(
    "gemini",
    lambda task: GeminiReader(task, "gemini-2.5-pro"),
    by="estimated",
    ends=ENDS,
    events=EVENTS,
    message=PLAIN_MESSAGE,
    resumed=(Resumed("resume-1", "resume", (2500, 1010, 0, 101, 14), 0.00440125),),
    shows={
        "no final event": "sigterm-group",
        "not logged in": "no-key",
        "unknown model": "model-404",
        "stream cut": "stream-cut",
        "out of quota": "api-429",
    },
    total=5604,
    rates=(1.25, 0.125, 0, 10),
    unfinished="exit code 0 without a result",
    bad_exit="exit code 1 after a successful result: boom",
    meaningless=(line(type="message", role="user", content="do it"),),
    large=lambda text: line(type="tool_result", tool_id="t", status="success", output=text),
)
