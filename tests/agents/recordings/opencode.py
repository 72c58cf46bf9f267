from __future__ import annotations

from pytest_gump.agents.base import Started, ToolCall
from pytest_gump.agents.clis.opencode_stream import OpencodeReader

from tests.agents.stream_kit import PLAIN_MESSAGE, End, Recorded, Resumed, failed, line, plain_run

ENDS = {
    "api-400": failed("APIError 400: scripted failure 400"),
    "api-401": failed("APIError 401: scripted failure 401"),
    "api-429": End("quota", "APIError 429: scripted failure 429"),
    "api-429-once": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), context=1920, usd=0.014454),
    "api-500": failed("APIError 500: scripted failure 500"),
    "ask-no-auto": failed(
        (
            "exit code 0 after an answer that ended with 'tool-calls': ! permission requested: bash "
            '(echo hi > out.txt, python3 -c \'open("o2.txt","w").write("x")\'); auto-rejecting'
        ),
        turns=2,
        calls=2,
        tokens=(2500, 1010, 0, 87, 14),
        context=1810,
        usd=0.009318,
        notes=(
            '1 tool call refused (gump_allow_commands can allow more): bash \'echo hi > out.txt; python3 -c \\\'open("o2.txt","w").write("x")\\\'\'',
        ),
    ),
    "bad-model": failed("UnknownError: Unexpected server error. Check server logs for details."),
    "bad-option": failed("exit code 1 without a final answer: [boolean] [default: false]"),
    "basic": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), context=1920, usd=0.014454),
    "big-output": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), context=1810, usd=0.009318),
    "connection-refused": failed(
        "APIError: Cannot connect to API: Unable to connect. Is the computer able to access the url?"
    ),
    "diff-step": End(
        turns=5,
        calls=4,
        tokens=(7000, 2600, 0, 225, 35),
        context=2140,
        usd=0.02568,
        notes=(
            "2 tool calls refused (gump_allow_commands can allow more): write '/sandbox/home/out.txt', bash 'touch sh.txt'",
        ),
    ),
    "failing-command": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), context=1810, usd=0.009318),
    "fork": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), context=1810, usd=0.009318),
    "no-key": failed("UnknownError: Unexpected server error. Check server logs for details."),
    "no-price": End(turns=1, tokens=(1200, 500, 0, 43, 7), context=1700, usd=None),
    "outside-no-auto": failed(
        (
            "exit code 0 after an answer that ended with 'tool-calls': ! permission requested: "
            "external_directory (/sandbox/home/opencode/*); auto-rejecting"
        ),
        turns=1,
        calls=1,
        tokens=(1200, 500, 0, 43, 7),
        context=1700,
        usd=0.0045,
        notes=("1 tool call refused: write '/sandbox/home/opencode/outside2.txt'",),
    ),
    "parallel-calls": End(turns=2, calls=2, tokens=(2500, 1010, 0, 87, 14), context=1810, usd=0.009318),
    "permission-deny": End(
        turns=3,
        calls=2,
        tokens=(3900, 1530, 0, 132, 21),
        context=1920,
        usd=0.014454,
        notes=("2 tool calls refused: write: not an available tool, bash: not an available tool",),
    ),
    "read-only-step": End(
        turns=4,
        calls=3,
        tokens=(5400, 2060, 0, 178, 28),
        context=2030,
        usd=0.019908,
        notes=("2 tool calls refused: write '/sandbox/repo/a.txt', bash: not an available tool",),
    ),
    "readonly": End(
        turns=3,
        calls=2,
        tokens=(3900, 1530, 0, 132, 21),
        context=1920,
        usd=0.014454,
        notes=("2 tool calls refused: write: not an available tool, bash: not an available tool",),
    ),
    "resume": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), context=1810, usd=0.009318),
    "resume-1": End(turns=3, calls=2, tokens=(3900, 1530, 0, 132, 21), context=1920, usd=0.014454),
    "resume-other-cwd": failed("ended by a signal without a final answer"),
    "resume-unknown": failed("exit code 1 without a final answer: Error: Session not found"),
    "sigterm": failed(
        "ended by signal 15 without a final answer",
        turns=1,
        notes=("the last answer was cut off: its tokens are not counted",),
    ),
    "steps": failed(
        "ended by a signal after an answer that ended with 'tool-calls'",
        turns=62,
        calls=62,
        tokens=(269600, 50520, 0, 4618, 434),
        context=8520,
        usd=0.899736,
    ),
    "stream-cut": failed(
        "APIError: Connection reset by server",
        turns=1,
        notes=("the last answer was cut off: its tokens are not counted",),
    ),
    "think": End(turns=1, tokens=(1200, 500, 0, 43, 7), context=1700, usd=0.0045),
    "write-outside-cwd": End(turns=2, calls=1, tokens=(2500, 1010, 0, 87, 14), context=1810, usd=0.009318),
}

EVENTS = plain_run(
    Started("ses_dfde2684effeko7tgtNQlrAPWx", None),
    writes=ToolCall("write", path="/sandbox/repo/opencode/basic/hello.py"),
    runs="bash",
)

OPENCODE = Recorded(
    "opencode",
    OpencodeReader,
    by="reported",
    ends=ENDS,
    events=EVENTS,
    message=PLAIN_MESSAGE,
    resumed=tuple(
        Resumed("resume-1", second, (2500, 1010, 0, 87, 14), 0.009318, same_id=second == "resume")
        for second in ("resume", "fork")
    ),
    shows={
        "no final event": "sigterm",
        "not logged in": "no-key",
        "unknown model": "bad-model",
        "stream cut": "stream-cut",
        "out of quota": "api-429",
    },
    total=5583,
    rates=(3, 0.3, 3.75, 15),
    unfinished="exit code 0 without a final answer",
    bad_exit="exit code 1 after a complete answer: boom",
    meaningless=(line(type="reasoning", part={"text": "hm"}),),
    large=lambda text: line(type="tool_use", part={"tool": "read", "state": {"status": "completed", "output": text}}),
)
