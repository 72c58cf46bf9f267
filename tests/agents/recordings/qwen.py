from __future__ import annotations

from pytest_gump.agents.base import Started, ToolCall
from pytest_gump.agents.clis.qwen_stream import QwenReader

from tests.agents.stream_kit import PLAIN_MESSAGE, End, Recorded, Resumed, failed, line, plain_run

ENDS = {
    "api-400": failed("API Error: 400 scripted failure 400"),
    "api-401": failed("API Error: 401 scripted failure 401"),
    "api-429": failed("ended by a signal without a result", notes=("2 API retries",)),
    "api-429-once": End(turns=3, calls=2, tokens=(3900, 1530, 0, 153), context=1920, usd=0.00323115),
    "api-500": failed("API Error: 500 scripted failure 500"),
    "arrearage": End("quota", "API Error: 400 Access denied, please make sure your account is in good standing."),
    "auto-edit": End(
        turns=3,
        calls=2,
        tokens=(3900, 1530, 0, 153),
        context=1920,
        usd=0.00323115,
        notes=(
            "1 tool call refused (gump_allow_commands can allow more): run_shell_command \"echo hi > out.txt; python3 -c 'print(1)'; echo rc=$?\"",
        ),
    ),
    "basic": End(turns=3, calls=2, tokens=(3900, 1530, 0, 153), context=1920, usd=0.00323115),
    "big-output": End(turns=2, calls=1, tokens=(2500, 1010, 0, 101), context=1810, usd=0.00208455),
    "connection-refused": failed("API Error: Connection error. (cause: fetch failed)"),
    "diff-step": End(
        turns=5,
        calls=4,
        tokens=(7000, 2600, 0, 260),
        context=2140,
        usd=0.02205,
        notes=(
            "2 tool calls refused (gump_allow_commands can allow more): write_file '/sandbox/home/out.txt', run_shell_command 'touch sh.txt'",
        ),
    ),
    "failing-command": End(turns=2, calls=1, tokens=(2500, 1010, 0, 101), context=1810, usd=0.00208455),
    "fork": End(turns=2, calls=1, tokens=(6400, 2540, 0, 254), context=1810, usd=0.0053157),
    "max-tool-calls": failed(
        ("exit code 55 without a result: Run aborted: tool-call budget of 2 exceeded (--max-tool-calls); observed 3."),
        turns=3,
        calls=3,
        tokens=(3900, 1530, 0, 153),
        context=1920,
        usd=0.00323115,
    ),
    "maxturns-parallel": failed(
        (
            "exit code 53 without a result: Reached max session turns for this session. Increase the "
            "number of turns by specifying maxSessionTurns in settings.json."
        ),
        turns=3,
        calls=6,
        tokens=(3900, 1530, 0, 153),
        context=1920,
        usd=0.00323115,
        limit="max_turns",
    ),
    "model-404": failed("API Error: 404 The model `nope-1` does not exist or you do not have access to it.", usd=None),
    "no-key": failed(
        (
            "Missing API key for OpenAI-compatible auth. Set settings.security.auth.apiKey, or set the "
            "'OPENAI_API_KEY' environment variable."
        ),
        usd=None,
    ),
    "parallel-calls": End(turns=2, calls=2, tokens=(2500, 1010, 0, 101), context=1810, usd=0.00208455),
    "read-only-step": End(
        turns=4,
        calls=3,
        tokens=(5400, 2060, 0, 206),
        context=2030,
        usd=0.017105,
        notes=(
            "2 tool calls refused (gump_allow_commands can allow more): write_file '/sandbox/repo/a.txt', run_shell_command 'echo ok > b.txt'",
        ),
    ),
    "readonly": End(
        turns=3,
        calls=2,
        tokens=(3900, 1530, 0, 153),
        context=1920,
        usd=0.00323115,
        notes=(
            "2 tool calls refused (gump_allow_commands can allow more): write_file '/sandbox/repo/qwen/readonly/hello.py', run_shell_command 'python3 hello.py > out.txt; cat out.txt'",
        ),
    ),
    "resume": End(turns=2, calls=1, tokens=(6400, 2540, 0, 254), context=1810, usd=0.0053157),
    "resume-1": End(turns=3, calls=2, tokens=(3900, 1530, 0, 153), context=1920, usd=0.00323115),
    "resume-unknown": failed(
        (
            "exit code 1 without a result: No saved session found with ID "
            "11111111-2222-4333-8444-555555555555. Run `qwen --resume` without an ID to choose from existing "
            "sessions."
        ),
        usd=None,
    ),
    "sigterm": failed(
        "ended by signal 15 without a result",
        turns=1,
        calls=1,
        tokens=(1200, 500, 0, 50),
        context=1700,
        usd=0.0010075,
    ),
    "stream-cut": failed(
        "API Error: terminated (cause: UND_ERR_SOCKET: other side closed)",
        turns=1,
        tokens=(10000, 0, 0, 57),
        usd=0.00668525,
        notes=("3 API retries",),
    ),
    "turn-limit": failed(
        (
            "exit code 53 without a result: Reached max session turns for this session. Increase the "
            "number of turns by specifying maxSessionTurns in settings.json."
        ),
        turns=2,
        calls=2,
        tokens=(2500, 1010, 0, 101),
        context=1810,
        usd=0.00208455,
        limit="max_turns",
    ),
    "write-outside-cwd": End(turns=2, calls=1, tokens=(2500, 1010, 0, 101), context=1810, usd=0.00208455),
}

EVENTS = plain_run(
    Started("2c4db2af-f2f6-4454-95fc-e736a8d11502", "qwen3-coder-plus"),
    writes=ToolCall("write_file", path="/sandbox/repo/qwen/basic/hello.py"),
    runs="run_shell_command",
)

QWEN = Recorded(
    "qwen",
    QwenReader,
    by="estimated",
    ends=ENDS,
    events=EVENTS,
    message=PLAIN_MESSAGE,
    resumed=tuple(
        Resumed("resume-1", second, (2500, 1010, 0, 101), 0.00208455, (6400, 2540, 0, 254), same_id=second == "resume")
        for second in ("resume", "fork")
    ),
    shows={
        "no final event": "sigterm",
        "not logged in": "no-key",
        "unknown model": "model-404",
        "stream cut": "stream-cut",
        "out of quota": "arrearage",
    },
    total=5583,
    rates=(0.65, 0.13, 0.8125, 3.25),
    unfinished="exit code 0 without a result",
    bad_exit="exit code 1 after a successful result: boom",
    meaningless=(line(type="system", subtype="new"), line(type="stream_event", event={})),
    large=lambda text: line(type="user", message={"content": [{"type": "tool_result", "content": text}]}),
)
