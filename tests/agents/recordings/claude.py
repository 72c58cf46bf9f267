from __future__ import annotations

from pytest_gump.agents.base import Started, ToolCall
from pytest_gump.agents.clis.claude_stream import ClaudeReader

from tests.agents.stream_kit import PLAIN_MESSAGE, End, Recorded, Resumed, failed, line, plain_run

ENDS = {
    "acceptedits-no-bash": End(
        turns=3,
        calls=2,
        tokens=(3300, 1530, 600, 153),
        context=1920,
        usd=0.014904,
        notes=(
            '1 tool call refused (gump_allow_commands can allow more): Bash \'python3 -c \\\'open("out.txt","w").write("x")\\\'; echo rc=$?\'',
        ),
    ),
    "acceptedits-outside": End(
        turns=2,
        calls=1,
        tokens=(2100, 1010, 400, 101),
        context=1810,
        usd=0.009618,
        notes=("1 tool call refused: Write '/sandbox/home/claude/outside2.txt'",),
    ),
    "api-400": failed("API Error: 400 scripted failure 400"),
    "api-401": failed("Failed to authenticate. API Error: 401 scripted failure 401", notes=("10 API retries",)),
    "api-429": End("quota", "API Error: Request rejected (429) · scripted failure 429", notes=("10 API retries",)),
    "api-429-once": End(
        turns=3, calls=2, tokens=(3300, 1530, 600, 153), context=1920, usd=0.014904, notes=("1 API retry",)
    ),
    "api-500": failed(
        (
            "API Error: 500 scripted failure 500. This is a server-side issue, usually temporary — try again "
            "in a moment. If it persists, check your inference gateway (127.0.0.1:40709)."
        ),
        notes=("10 API retries",),
    ),
    "basic": End(turns=3, calls=2, tokens=(3300, 1530, 600, 153), context=1920, usd=0.014904),
    "big-output": End(turns=2, calls=1, tokens=(2100, 1010, 400, 101), context=1810, usd=0.009618),
    "budget": failed(
        "Reached maximum budget ($0.02)",
        turns=4,
        calls=4,
        tokens=(4600, 2060, 800, 206),
        context=2030,
        usd=0.020508,
        limit="max_budget",
    ),
    "budget-resume": failed(
        "Reached maximum budget ($0.02)",
        turns=4,
        calls=4,
        tokens=(7900, 3590, 1400, 359),
        context=2030,
        usd=0.035412,
        limit="max_budget",
    ),
    "bypass": failed(
        (
            "exit code 1 without a result: --dangerously-skip-permissions cannot be used with "
            "root/sudo privileges for security reasons"
        ),
        by="estimated",
    ),
    "connection-refused": failed(
        "API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)",
        notes=("10 API retries",),
    ),
    "failing-command": End(turns=2, calls=1, tokens=(2100, 1010, 400, 101), context=1810, usd=0.009618),
    "fork": End(turns=2, calls=1, tokens=(5400, 2540, 1000, 254), context=1810, usd=0.024522),
    "maxturns-parallel": failed(
        "Reached maximum number of turns (3)",
        turns=3,
        calls=6,
        tokens=(3300, 1530, 600, 153),
        context=1920,
        usd=0.014904,
        limit="max_turns",
    ),
    "model-404": failed(
        "There's an issue with the selected model (claude-nope-1). It may not exist or you may not have "
        "access to it. Run --model to pick a different model."
    ),
    "no-key": failed("Not logged in · Please run /login"),
    "parallel-calls": End(turns=2, calls=2, tokens=(2100, 1010, 400, 101), context=1810, usd=0.009618),
    "partial": End(turns=3, calls=2, tokens=(3300, 1530, 600, 153), context=1920, usd=0.014904),
    "readonly": End(
        turns=3,
        calls=2,
        tokens=(3300, 1530, 600, 153),
        context=1920,
        usd=0.014904,
        notes=(
            "2 tool calls refused (gump_allow_commands can allow more): Write '/sandbox/repo/claude/readonly/hello.py', Bash 'python3 hello.py > out.txt; cat out.txt'",
        ),
    ),
    "resume": End(turns=2, calls=1, tokens=(5400, 2540, 1000, 254), context=1810, usd=0.024522),
    "resume-1": End(turns=3, calls=2, tokens=(3300, 1530, 600, 153), context=1920, usd=0.014904),
    "resume-unknown": failed("No conversation found with session ID: 11111111-2222-4333-8444-555555555555"),
    "sigint": failed(
        "[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=tool_use",
        turns=1,
        calls=1,
        tokens=(1000, 500, 200, 50),
        context=1700,
        usd=0.00465,
    ),
    "sigterm": failed(
        "exit code 143 without a result",
        turns=1,
        calls=1,
        tokens=(1000, 500, 200, 24),
        context=1700,
        usd=0.00426,
        by="estimated",
    ),
    "stream-cut": End(turns=1, tokens=(3000, 1500, 600, 52), context=1700, usd=0.01248, notes=("10 API retries",)),
    "subagent": End(turns=3, calls=2, tokens=(5400, 2540, 1000, 254), context=1920, usd=0.024522),
    "think": End(turns=1, tokens=(1000, 500, 200, 50), context=1700, usd=0.00465),
    "turn-limit": failed(
        "Reached maximum number of turns (2)",
        turns=2,
        calls=2,
        tokens=(2100, 1010, 400, 101),
        context=1810,
        usd=0.009618,
        limit="max_turns",
    ),
    "unknown-model": End(
        turns=1,
        tokens=(1000, 500, 200, 50),
        context=1700,
        usd=0.0061,
        by="estimated",
        notes=("the CLI has no price for scripted-model: the cost is a guess",),
    ),
    "write-outside-cwd": End(turns=2, calls=1, tokens=(2100, 1010, 400, 101), context=1810, usd=0.009618),
}

EVENTS = plain_run(
    Started("fd49718e-f6c6-4448-a371-a73754ad7bc0", "claude-sonnet-4-5"),
    writes=ToolCall("Write", path="/sandbox/repo/claude/basic/hello.py"),
    runs="Bash",
)

CLAUDE = Recorded(
    "claude",
    ClaudeReader,
    by="reported",
    ends=ENDS,
    events=EVENTS,
    message=PLAIN_MESSAGE,
    resumed=tuple(
        Resumed(
            "resume-1", second, (2100, 1010, 400, 101), 0.009618, (5400, 2540, 1000, 254), same_id=second == "resume"
        )
        for second in ("resume", "fork")
    ),
    shows={
        "no final event": "sigterm",
        "not logged in": "no-key",
        "unknown model": "model-404",
        "stream cut": "stream-cut",
        "out of quota": "api-429",
    },
    total=5583,
    rates=(3, 0.3, 3.75, 15),
    unfinished="exit code 0 without a result",
    bad_exit="exit code 1 after a successful result: boom",
    meaningless=(line(type="system", subtype="new"), line(type="stream_event", event={})),
    large=lambda text: line(type="assistant", message={"id": "m", "content": [{"type": "text", "text": text}]}),
)
