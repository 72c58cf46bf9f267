from __future__ import annotations

from pytest_gump.agents.base import Started, ToolCall
from pytest_gump.agents.clis.codex_stream import CodexReader

from tests.agents.stream_kit import PLAIN_MESSAGE, End, Recorded, Resumed, failed, line, plain_run

ENDS = {
    "api-400": failed("scripted failure 400"),
    "api-401": failed(
        ("unexpected status 401 Unauthorized: scripted failure 401, url: http://127.0.0.1:39557/v1/responses"),
        notes=("5 API retries",),
    ),
    "api-429": End("quota", "exceeded retry limit, last status: 429 Too Many Requests"),
    "api-500": failed(
        "We’re currently experiencing high demand, which may cause temporary errors.", notes=("5 API retries",)
    ),
    "api-500-once": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), usd=0.024855),
    "basic": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), usd=0.024855),
    "big-output": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), usd=0.016035),
    "connection-refused": failed("ended by a signal without turn.completed", notes=("7 API retries",)),
    "failing-command": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), usd=0.016035),
    "fork": End(turns=2, calls=1, tokens=(6400, 2540, 0, 219, 35), usd=0.04089),
    "fork-1": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), usd=0.024855),
    "model-404": failed(
        "The model `nope-1` does not exist or you do not have access to it.",
        notes=(
            (
                "Model metadata for `nope-1` not found. Defaulting to fallback metadata; this can degrade "
                "performance and cause issues."
            ),
        ),
    ),
    "no-key": failed("Missing environment variable: `SCRIPTED_KEY`."),
    "readonly": End(
        turns=3,
        tokens=(3900, 1530, 0, 132, 21),
        usd=0.024855,
        notes=(
            "1 tool call refused: patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings",
        ),
    ),
    "resume": End(turns=2, calls=1, tokens=(6400, 2540, 0, 219, 35), usd=0.04089),
    "resume-1": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), usd=0.024855),
    "resume-unknown": failed(
        "exit code 1 without turn.completed: Error: thread/resume: thread/resume failed: no "
        "rollout found for thread id 11111111-2222-4333-8444-555555555555 (code -32600)"
    ),
    "sigint": failed(
        (
            "exit code 1 without turn.completed: 2026-11-22T06:57:36.911883Z ERROR "
            "codex_core::session: failed to record rollout items: thread 01a2020b-c775-7cc2-94c6-fb6c8f5fa9c0"
            " not found"
        ),
        turns=1,
        calls=1,
        tokens=(10000, 0, 0, 18),
        usd=0.05054,
    ),
    "sigterm": failed(
        "ended by signal 15 without turn.completed", turns=1, calls=1, tokens=(10000, 0, 0, 18), usd=0.05054
    ),
    "stream-cut": failed(
        ("stream disconnected before completion: Transport error: network error: error decoding response body"),
        notes=("5 API retries",),
    ),
    "usage-limit": End(
        "quota",
        (
            "You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit "
            "https://chatgpt.com/settings/usage to purchase more credits or try again at 5:55 PM."
        ),
    ),
    "write-outside-cwd": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), usd=0.016035),
    "x-network": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), usd=0.016035),
    "x-parallel-calls": End(turns=3, calls=2, tokens=(2500, 1010, 0, 87, 14), usd=0.016035),
    "x-readonly": End(
        turns=3,
        calls=1,
        tokens=(3900, 1530, 0, 132, 21),
        usd=0.024855,
        notes=(
            "1 tool call refused: patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings",
        ),
    ),
    "x-think": End(turns=1, tokens=(1200, 500, 0, 43, 7), usd=0.00775),
    "x-todo": End(
        turns=3,
        tokens=(3900, 1530, 0, 132, 21),
        usd=0.024855,
        notes=("2 tool calls refused: unsupported call: update_plan, unsupported call: web_search",),
    ),
    "x-unknown-model": End(
        turns=1,
        tokens=(1200, 500, 0, 43, 7),
        usd=0.00775,
        notes=(
            (
                "Model metadata for `nope` not found. Defaulting to fallback metadata; this can degrade "
                "performance and cause issues."
            ),
        ),
    ),
}

EVENTS = plain_run(
    Started("01a20227-244a-7a90-bdf6-b08976e143d3", "gpt-5.5"),
    writes=ToolCall("apply_patch", path="/sandbox/repo/codex/basic/hello.py"),
    runs="shell",
)

CODEX = Recorded(
    "codex",
    lambda task: CodexReader(task, "gpt-5.5"),
    by="estimated",
    ends=ENDS,
    events=EVENTS,
    message=PLAIN_MESSAGE,
    resumed=(
        Resumed("resume-1", "resume", (2500, 1010, 0, 87, 14), 0.016035, (6400, 2540, 0, 219, 35)),
        Resumed("fork-1", "fork", (2500, 1010, 0, 87, 14), 0.016035, (6400, 2540, 0, 219, 35), same_id=False),
    ),
    shows={
        "no final event": "sigterm",
        "not logged in": "no-key",
        "unknown model": "model-404",
        "stream cut": "stream-cut",
        "out of quota": "api-429",
    },
    total=5583,
    rates=(5, 0.5, 0, 30),
    unfinished="exit code 0 without turn.completed",
    bad_exit="exit code 1 after turn.completed: boom",
    meaningless=(
        line(type="item.updated", item={"type": "todo_list"}),
        line(type="item.completed", item={"type": "new"}),
    ),
    large=lambda text: line(
        type="item.completed",
        item={"id": "i", "type": "command_execution", "aggregated_output": text, "status": "completed"},
    ),
)
