"""Write the cassette of the demo: `.venv/bin/python tools/make_cassette.py`.

The takes are scripted: no model was called. The files of each take, in `examples/timesheet/cassette/*/files`, are
written by hand, and this script does not change them. It writes the streams around them, in the format of Claude Code's
`stream-json` output. The costs are computed: the prompt cache grows with each turn, the number of tokens is derived from
the number of characters, and the prices are the list prices below. Gates are not scripted: they run whenever the
cassette is played.

The prompts are those of pytest-gump. The script runs the workflow once with takes that accept every prompt, and stores
the prompt of each attempt in its take. Run the script again when the workflow or the wording of prompts has changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_gump.agents.cassettes import cassette
from pytest_gump.order import Order
from pytest_gump.engine.attempt.prompt import prompt_key

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
PROJECT = EXAMPLES / "timesheet"
CASSETTE = PROJECT / "cassette"
CLI_VERSION = "2.1.330"
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

# USD per million tokens: input, cache write (5 minutes), cache read, output. List prices of November 2026.
PRICES = {
    "claude-opus-4-5": (5.0, 6.25, 0.5, 25.0),
    "claude-sonnet-4-5": (3.0, 3.75, 0.3, 15.0),
    "claude-haiku-4-5": (1.0, 1.25, 0.1, 5.0),
}
MODELS = {"claude-opus": "claude-opus-4-5", "claude-sonnet": "claude-sonnet-4-5", "claude-haiku": "claude-haiku-4-5"}
SYSTEM_PROMPT_TOKENS = 14_200
TOKENS_PER_S = {"claude-opus-4-5": 55, "claude-sonnet-4-5": 70, "claude-haiku-4-5": 140}


# -- what an agent does ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tool:
    name: str
    input: dict[str, Any]
    result: str
    is_error: bool = False


@dataclass(frozen=True)
class Turn:
    text: str
    tools: tuple[Tool, ...] = ()


def read(*paths: str) -> tuple[Tool, ...]:
    return tuple(Tool("Read", {"file_path": f"{cassette.WORKTREE}/{path}"}, numbered(path)) for path in paths)


def numbered(path: str) -> str:
    """Return a file of the example as the CLI's Read tool shows it. Files that a take wrote are in the cassette."""
    places = [PROJECT / path, *sorted(CASSETTE.glob(f"*/files/{path}"))]
    text = next(place for place in places if place.exists()).read_text()
    return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(text.splitlines(), 1))


def write(path: str, content: str) -> tuple[Tool, ...]:
    place = f"{cassette.WORKTREE}/{path}"
    return (Tool("Write", {"file_path": place, "content": content}, f"File created successfully at: {place}"),)


def pytest(arguments: str, result: str, *, failed: bool = False) -> tuple[Tool, ...]:
    command = {"command": f"python -m pytest -q {arguments}".strip(), "description": "Run the tests"}
    return (Tool("Bash", command, f"Exit code 2\n{result}" if failed else result, is_error=failed),)


@dataclass(frozen=True)
class Script:
    """One take. `session` names the conversation: later takes with the same name resume it."""

    step: str
    item: str | None
    attempt: int
    agent: str
    session: str
    prompt_tokens: int
    turns: tuple[Turn, ...]
    out: dict[str, str] = field(default_factory=dict)


# -- what it costs -----------------------------------------------------------------------------------------------------


@dataclass
class Usage:
    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    def add(self, other: Usage) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def cost_usd(self, model: str) -> float:
        fresh, cache_write, cache_read, output = PRICES[model]
        total = self.input_tokens * fresh + self.cache_creation_input_tokens * cache_write
        total += self.cache_read_input_tokens * cache_read + self.output_tokens * output
        return round(total / 1_000_000, 6)


@dataclass
class Conversation:
    """A session of the CLI. Later runs resume it, read its context from the cache, and report the cumulative cost."""

    id: str
    model: str
    context: int = 0
    unseen: int = SYSTEM_PROMPT_TOKENS
    total: Usage = field(default_factory=Usage)

    def answer(self, turn: Turn) -> Usage:
        output = tokens(turn.text) + sum(tokens(json.dumps(tool.input)) + 40 for tool in turn.tools)
        usage = Usage(4, self.unseen, self.context, output)
        self.context += self.unseen
        self.unseen = output + sum(tokens(tool.result) + 20 for tool in turn.tools)
        self.total.add(usage)
        return usage


def tokens(text: str) -> int:
    return len(text) * 10 // 36 + 1


# -- the stream --------------------------------------------------------------------------------------------------------


class Stream:
    """Collects the lines of one run of the CLI and the pauses between them."""

    def __init__(self, script: Script, conversation: Conversation, clock: datetime) -> None:
        self.lines: list[dict[str, Any]] = []
        self.pauses_s: list[float] = []
        self.clock = clock
        self._script = script
        self._conversation = conversation
        self._usage = Usage()

    def record(self) -> None:
        began = self.clock
        self._conversation.unseen += self._script.prompt_tokens
        self._line(self._init(), after_s=0.6)
        for number, turn in enumerate(self._script.turns, 1):
            self._turn(number, turn)
        self._line(self._result(self.clock - began), after_s=0.1)

    def _turn(self, number: int, turn: Turn) -> None:
        usage = self._conversation.answer(turn)
        self._usage.add(usage)
        wait_s = 1.2 + usage.output_tokens / TOKENS_PER_S[self._conversation.model]
        message_id = f"msg_{self._uuid(f'message {number}').hex[:24]}"
        blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.text}]
        ids = [f"toolu_{self._uuid(f'tool {number} {index}').hex[:24]}" for index in range(len(turn.tools))]
        blocks += [
            {"type": "tool_use", "id": tool_id, "name": tool.name, "input": tool.input}
            for tool_id, tool in zip(ids, turn.tools, strict=True)
        ]
        for index, block in enumerate(blocks):
            self._line(self._assistant(message_id, block, usage), after_s=wait_s if index == 0 else 0.0)
        for tool_id, tool in zip(ids, turn.tools, strict=True):
            self._line(self._tool_result(tool_id, tool), after_s=1.4 if tool.name == "Bash" else 0.1)

    def _line(self, event: dict[str, Any], *, after_s: float) -> None:
        self.clock += timedelta(seconds=after_s)
        self.pauses_s.append(round(after_s, 1))
        event["uuid"] = str(self._uuid(f"line {len(self.lines)}"))
        if event["type"] in {"assistant", "user"}:
            event["timestamp"] = self.clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.lines.append(event)

    def _uuid(self, name: str) -> uuid.UUID:
        script = self._script
        return uuid.uuid5(uuid.NAMESPACE_URL, f"timesheet/{script.step}/{script.item}/{script.attempt}/{name}")

    def _init(self) -> dict[str, Any]:
        return {
            "type": "system",
            "subtype": "init",
            "cwd": cassette.WORKTREE,
            "session_id": self._conversation.id,
            "tools": ["Bash", "Edit", "Glob", "Grep", "Read", "Write"],
            "mcp_servers": [],
            "model": self._conversation.model,
            "permissionMode": "acceptEdits",
            "apiKeySource": "ANTHROPIC_API_KEY",
            "claude_code_version": CLI_VERSION,
        }

    def _assistant(self, message_id: str, block: dict[str, Any], usage: Usage) -> dict[str, Any]:
        message = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": self._conversation.model,
            "content": [block],
            "stop_reason": None,
            "stop_sequence": None,
            # The CLI prints the number at the start of the message. The result event has the final one.
            "usage": vars(usage) | {"output_tokens": 1},
        }
        return {
            "type": "assistant",
            "message": message,
            "parent_tool_use_id": None,
            "session_id": self._conversation.id,
        }

    def _tool_result(self, tool_id: str, tool: Tool) -> dict[str, Any]:
        block = {"type": "tool_result", "tool_use_id": tool_id, "content": tool.result, "is_error": tool.is_error}
        return {
            "type": "user",
            "message": {"role": "user", "content": [block]},
            "parent_tool_use_id": None,
            "session_id": self._conversation.id,
        }

    def _result(self, took: timedelta) -> dict[str, Any]:
        model, total = self._conversation.model, self._conversation.total
        return {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "api_error_status": None,
            "duration_ms": round(took.total_seconds() * 1000),
            "num_turns": len(self._script.turns),
            "result": self._script.turns[-1].text,
            "stop_reason": "end_turn",
            "terminal_reason": "completed",
            "session_id": self._conversation.id,
            "total_cost_usd": total.cost_usd(model),
            "usage": vars(self._usage) | {"service_tier": "standard"},
            "modelUsage": {
                model: {
                    "inputTokens": total.input_tokens,
                    "outputTokens": total.output_tokens,
                    "cacheReadInputTokens": total.cache_read_input_tokens,
                    "cacheCreationInputTokens": total.cache_creation_input_tokens,
                    "costUSD": total.cost_usd(model),
                    "costBasis": "list",
                }
            },
            "permission_denials": [],
        }


# -- the takes ---------------------------------------------------------------------------------------------------------

ENTRIES, ENTRIES_TESTS = "src/timesheet/entries.py", "tests/test_entries.py"

PLAN = [
    {
        "name": "durations",
        "description": "Add timesheet/durations.py with parse_minutes(text) -> int (45m, 2h, 1h30m, 1h 30m, 1.5h; decimal hours must "
        "come to whole minutes; anything else and zero is a ValueError that shows the text) and show_minutes(minutes) -> str "
        "(0:05, 1:30, 25:00).",
        "files": ["src/timesheet/durations.py", "tests/test_durations.py"],
    },
    {
        "name": "billing",
        "description": "Add timesheet/billing.py with billable(entries, *, increment=15) -> dict[tuple[date, str], int]. Overlapping "
        "and touching entries of one project count once in any order; projects are independent; an entry past midnight counts on "
        "each day with its own part; only the total of a day and project is rounded up to the increment; keys sorted by day and "
        "project; an increment below 1 is a ValueError.",
        "files": ["src/timesheet/billing.py", "tests/test_billing.py"],
    },
    {
        "name": "statement",
        "description": "Add timesheet/statement.py with statement(entries, rates) -> str: one line for each project, sorted by name, "
        "with its billable hours and the amount rounded half up to cents, then a total line that adds up the printed amounts. "
        "Columns line up, two spaces between them. A project without a rate is a ValueError that names it. Needs durations and "
        "billing.",
        "files": ["src/timesheet/statement.py", "tests/test_statement.py"],
    },
]


def scripts() -> list[Script]:
    return [plan(), *durations(), *billing(), *statement()]


def plan() -> Script:
    content = json.dumps(PLAN, indent=2) + "\n"
    turns = (
        Turn("I'll look at what is there first.", read("README.md", ENTRIES, ENTRIES_TESTS)),
        Turn(
            "Three modules, the third uses the other two, so the order of the spec is the right one. Each gets its own "
            "test file, as test_entries.py does.",
            write(".gump/out/plan.json", content),
        ),
        Turn("The plan has three items: durations, billing, statement, in the order in which they need each other."),
    )
    return Script("decompose", None, 1, "claude-opus", "plan", 2600, turns, {"plan.json": content})


def tests_take(item: str, files: dict[str, str], count: int, *more: str) -> Script:
    (path, content), *_ = files.items()
    error = f"ERROR {path} - ModuleNotFoundError: No module named 'timesheet.{item}'\n1 error in 0.71s"
    turns = (
        Turn("I'll see how tests are written here.", read(ENTRIES_TESTS, ENTRIES, *more)),
        Turn("One test for each sentence of the description.", write(path, content)),
        Turn("They must fail now, for the right reason.", pytest(path, error, failed=True)),
        Turn(f"{path} holds {count} tests. They cannot import timesheet.{item} yet, which is what is to be built."),
    )
    return Script("build::tests", item, 1, "claude-haiku", item, 1100, turns)


def durations() -> list[Script]:
    code = files_of("03-build-impl-durations-a1")
    turns = (
        Turn(
            "A regular expression for both forms, and fractions for the decimal hours, so that 0.33h is seen not to be whole.",
            write("src/timesheet/durations.py", code["src/timesheet/durations.py"]),
        ),
        Turn("Now all tests.", pytest("", "25 passed in 0.73s")),
        Turn("parse_minutes and show_minutes are in place; all 25 tests pass."),
    )
    return [
        tests_take("durations", files_of("02-build-tests-durations-a1"), 3),
        Script("build::impl", "durations", 1, "claude-haiku", "durations", 700, turns),
    ]


def billing() -> list[Script]:
    path = "src/timesheet/billing.py"
    first, second, third, fourth = (
        files_of(f"{number:02d}-build-impl-billing-a{attempt}")[path] for attempt, number in enumerate(range(5, 9), 1)
    )
    tries = [
        (700, "Minutes per day and project are added up, then rounded.", first, "billable is implemented."),
        (
            1500,
            "Overlapping entries were counted twice. I'll sort them and join neighbours.",
            second,
            "Entries that overlap or touch are joined now.",
        ),
        (
            1700,
            "The end of a joined stretch must be the later one, and a stretch is to be cut at midnight.",
            third,
            "The end is kept with max(), and each day gets its own part.",
        ),
    ]
    takes = [tests_take("billing", files_of("04-build-tests-billing-a1"), 12)]
    for attempt, (prompt_tokens, thought, code, end) in enumerate(tries, 1):
        turns = (Turn(thought, write(path, code)), Turn(end))
        takes.append(Script("build::impl", "billing", attempt, "claude-haiku", "billing", prompt_tokens, turns))
    turns = (
        Turn("I'll read the tests and the entry type before I write anything.", read("tests/test_billing.py", ENTRIES)),
        Turn(
            "Three separate things: join the entries of a project, cut the stretches at midnight, add up and round once per day "
            "and project. The last attempt rounded inside the loop; the total has to be rounded.",
            write(path, fourth),
        ),
        Turn("All tests.", pytest("", "37 passed in 0.68s")),
        Turn("billable joins, cuts and adds up, and rounds only the total; all 37 tests pass."),
    )
    takes.append(Script("build::impl", "billing", 4, "claude-sonnet", "billing, escalated", 2400, turns))
    return takes


def statement() -> list[Script]:
    path = "src/timesheet/statement.py"
    first = files_of("10-build-impl-statement-a1")[path]
    second = files_of("11-build-impl-statement-a2")[path]
    one = (
        Turn("billable and show_minutes do most of it.", write(path, first)),
        Turn("statement is implemented on top of billable and show_minutes."),
    )
    two = (
        Turn(
            "quantize rounds half to even unless told otherwise, the total has to add up what is printed, and a missing rate is a "
            "KeyError now.",
            write(path, second),
        ),
        Turn("All tests.", pytest("", "43 passed in 0.70s")),
        Turn("Amounts are rounded half up once for each project and the total adds up those; all 43 tests pass."),
    )
    return [
        tests_take("statement", files_of("09-build-tests-statement-a1"), 6, "src/timesheet/durations.py"),
        Script("build::impl", "statement", 1, "claude-haiku", "statement", 700, one),
        Script("build::impl", "statement", 2, "claude-haiku", "statement", 1600, two),
    ]


def files_of(folder: str) -> dict[str, str]:
    """Return the files that a take leaves in the worktree, as they are stored in the cassette."""
    root = CASSETTE / folder / "files"
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def write_cassette(folder: Path, prompts: dict[str, str]) -> None:
    """Write all takes. `prompts` has their prompts by step path and attempt. Takes without one accept every prompt."""
    conversations: dict[str, Conversation] = {}
    clock = START
    for number, script in enumerate(scripts(), 1):
        model = MODELS[script.agent]
        session_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"timesheet/{script.session}"))
        conversation = conversations.setdefault(script.session, Conversation(session_id, model))
        stream = Stream(script, conversation, clock)
        stream.record()
        clock = stream.clock + timedelta(seconds=5)
        label = f"{script.step} {script.item or ''}".replace("::", "-").replace(" ", "-").strip("-")
        cassette.write_take(
            folder,
            step=script.step,
            item=script.item,
            attempt=script.attempt,
            agent=script.agent,
            cli="claude",
            model=model,
            prompt=prompts.get(f"{cassette.label_of(script.step, script.item)} {script.attempt}"),
            stream=stream.lines,
            pauses_s=stream.pauses_s,
            files=files_of(f"{number:02d}-{label}-a{script.attempt}"),
            out=script.out,
        )


# -- the prompts: this file is also the pytest plugin that collects them -------------------------------------------------

PROMPTS = "DEMO_PROMPTS"


def pytest_gump_attempt_started(order: Order) -> None:
    with Path(os.environ[PROMPTS]).open("a") as file:
        file.write(json.dumps({"attempt": f"{order.step} {order.attempt}", "prompt": prompt_key(order)}) + "\n")


def collect_prompts() -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_cassette(scratch / "takes", {})
        environment = os.environ | {PROMPTS: str(scratch / "prompts.ndjson"), "PYTHONPATH": str(HERE)}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        command = [str(EXAMPLES / "demo.sh"), str(scratch / "demo"), str(scratch / "takes"), "-p", Path(__file__).stem]
        subprocess.run(command, env=environment, check=True)
        lines = (scratch / "prompts.ndjson").read_text().splitlines()
        return {record["attempt"]: record["prompt"] for record in map(json.loads, lines)}


def main() -> None:
    prompts = collect_prompts()
    (CASSETTE / cassette.INDEX).unlink(missing_ok=True)
    write_cassette(CASSETTE, prompts)


if __name__ == "__main__":
    main()
