"""The shape of `gump report --json`, version 1: what `report_data` is type-checked against, and its JSON Schema.

`python -m pytest_gump.engine.reporting.report_schema > docs/reference/report.schema.json` writes the latter.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import with_config
from typing_extensions import TypedDict  # pydantic takes no other on Python 3.11

from pytest_gump import order
from pytest_gump.engine.reporting.json_schema import DESCRIBED, one_of, schema_of
from pytest_gump.engine.reporting.report_sums import AgentSum, Cost, CostSum, Spread, Sum, Tokens, Totals
from pytest_gump.engine.schedule import records
from pytest_gump.gates.base import GateStatus

__all__ = ["AgentSum", "Cost", "CostSum", "Spread", "Sum", "Tokens", "Totals", "json_schema", "text"]

SCHEMA: Final = 1
"""Raised when a field goes or changes its meaning; new fields do not count."""

Mode = Annotated[str, one_of(*get_args(order.Mode), "")]


@with_config(DESCRIBED)
class File(TypedDict):
    """A file that differs from when the step began."""

    path: str
    """Path, relative to the project."""
    status: Annotated[str, one_of("added", "modified", "deleted", "type")]
    """What became of it; type: a file became a link, or the like."""
    added: int | None
    """Lines; null for a binary or very large file."""
    removed: int | None
    """Lines; null for a binary or very large file."""


@with_config(DESCRIBED)
class Changes(TypedDict):
    """What changed since the step began; nothing in a step without an agent."""

    files_changed: int
    """Number of files."""
    lines_added: int
    """Lines; binary files count none."""
    lines_removed: int
    """Lines; binary files count none."""
    files: list[File]
    """Each of them."""


@with_config(DESCRIBED)
class Checked(TypedDict):
    """A gate's answer in short."""

    name: str
    """Name of the gate, with its argument."""
    status: Annotated[str, one_of(*get_args(GateStatus))]
    """Error: the check itself could not run."""
    summary: str
    """What a person should know of it."""
    tests: dict[str, int] | None
    """Number of tests `collected`, and of each outcome that occurs; null where the command gives no record per test."""


@with_config(DESCRIBED)
class Gate(Checked):
    """A gate's answer."""

    command: str | None
    """What was run; null where that is no command."""
    exit_code: int | None
    """Exit code of the command."""
    duration_s: float
    """How long it took."""


@with_config(DESCRIBED)
class Preflight(TypedDict):
    """What the gate commands said on the untouched base."""

    gates: list[Checked]
    """Each gate."""
    red: list[str]
    """Names of those that failed."""
    reason: str | None
    """Why the run stopped there; null if it went on."""
    duration_s: float | None
    """How long it took; part of the run's time, and of no attempt's. Null in runs of an older version."""


@with_config(DESCRIBED)
class Result(Changes):
    """What came out of an attempt."""

    outcome: str
    """One of docs/reference/outcomes.md; running: the attempt has not ended."""
    reason: str
    """One line that tells why it did not pass."""
    model: str | None
    """Model that the CLI named."""
    cost: Cost
    """What it cost."""
    tokens: Tokens
    """Its tokens."""
    turns: int
    """Answers of the model."""
    tool_calls: int
    """Tools that it called."""
    tools_failed: int
    """Tool calls that ended with an error, as far as the CLI shows them."""
    tools_repeated: int
    """Tool calls that repeat the call before: the same tool with the same file or command."""
    first_write_s: float | None
    """Seconds from the start of the agent to its first call of a tool that writes a file; null without one."""
    context_tokens: int
    """The most that one answer of the model had as its context, what came from the cache included; 0: not told."""
    duration_s: float
    """Time of the attempt."""
    agent_s: float
    """Time of the agent."""
    gates_s: float
    """Time of the gates."""
    gates: list[Gate]
    """Each gate, in order."""
    resets_at: str | None
    """Of a `quota`: when the limit is over, as far as the CLI said."""
    guard: str | None
    """Guard that stopped the agent."""
    session: str | None
    """Id of the conversation."""
    snapshot: str | None
    """Commit of what the attempt left."""
    no_change: str | None
    """Why no file had to change, in the words of the agent; null for an attempt that changed files or failed."""
    named_changes: list[str]
    """Lines on changes that no gate forbids and that a person should look at."""
    gate_config: list[str]
    """Changed files that gates read."""
    notes: list[str]
    """Remarks."""


@with_config(DESCRIBED)
class Begun(TypedDict):
    """What is known of an attempt before it ends."""

    number: int
    """Place among all attempts of the run, from 1."""
    attempt: int
    """Place among those of the step, from 1; never starts over."""
    agent: str | None
    """Agent; null for gates only."""
    mode: Mode
    """What the agent hands over."""
    entry: Annotated[str, one_of(*get_args(records.EntryKind))]
    """Why it was made."""
    because: str | None
    """The failure that it answers; null for a first attempt."""
    started: str
    """When it started."""
    folder: str | None
    """Its folder below `attempts/` of the run."""
    verdict: Annotated[str, one_of("", *get_args(records.Result))]
    """What followed; again: an enclosing step went on; waited, failover: it was made once more, later or by another
    agent, because its agent's account was at a limit; empty: nothing yet."""
    decision: str
    """A remark on that decision."""
    session_resumed: bool
    """Whether it went on with an earlier conversation."""
    reused: bool
    """Whether it was made, and paid for, in the run `origin`: it is part of no sum."""
    superseded: bool
    """Whether its result does not hold any more, because the run was taken up and the step is made again; it was paid
    for all the same, and is part of the sums."""


@with_config(DESCRIBED)
class Running(Begun):
    """An attempt that has not ended."""

    outcome: Literal["running"]
    """It has none yet."""
    reason: str
    """Empty."""


@with_config(DESCRIBED)
class Ended(Begun, Result):
    """An attempt that has ended."""


@with_config(DESCRIBED)
class Step(Changes):
    """A step, and its attempts."""

    path: str
    """Address of the step: `build::impl[item-2]`."""
    mode: Mode
    """What it hands over; empty for a step that never started."""
    status: Annotated[str, one_of("passed", "failed", "skipped", "running")]
    """How it ended."""
    outcome: str
    """How it ended, of docs/reference/outcomes.md: mostly as its last attempt did; running: it has not."""
    reason: str
    """Why it failed or was skipped."""
    reservations: list[str]
    """Of a step that passed: gates that were skipped, and why no file had to change."""
    agent: str | None
    """That of its last attempt; null for gates only."""
    retries: int
    """Failed attempts that were followed by another one, escalations included."""
    totals: Sum
    """Sums over its attempts, but for those that were reused."""
    attempts: list[Ended | Running]
    """In order."""


@with_config(DESCRIBED)
class RunFacts(TypedDict):
    """The run."""

    id: str
    """Id of the run."""
    workflow: str
    """Name of the workflow."""
    source: Annotated[str, one_of("project", "user", "built-in", "file")] | None
    """Where it was found."""
    spec: str
    """The spec, relative to the project."""
    status: Annotated[str, one_of("running", "interrupted", "passed", "failed", "cancelled")]
    """Interrupted: its process is gone."""
    reason: str
    """Why it ended, where a word is not enough."""
    base: str
    """Commit that the run started from."""
    base_ref: str | None
    """How that was named."""
    dirty_base: str | None
    """With --gump-dirty=include: the commit below the uncommitted changes, of which `base` is a capture."""
    branch: str
    """Branch of the run."""
    head: str
    """Commit where the run's files stand: the last passed step."""
    branches_left: dict[str, str]
    """Branches that the run left alone, each with the reason: somebody else moved it or has it checked out."""
    checkout_changed: list[str]
    """What appeared or changed in the user's checkout during the run, whoever did it; the first 20."""
    unchanged: bool | None
    """True if no file differs between `base` and `head`, so that there is nothing to merge; null while it runs."""
    started: str
    """When it started."""
    finished: str | None
    """When it ended; null while it has not."""
    duration_s: float
    """Wall-clock time, without that between the end of a session and the next one that took the run up, and without
    waits for limits."""
    resumed: int
    """How often the run was taken up after it had ended or was killed."""
    origin: str | None
    """The run that results were taken from (`--gump-from`)."""
    max_budget_usd: float | None
    """Its budget; null without."""
    applied: str | None
    """Commit that `gump apply` made; null without."""
    discarded: bool
    """Whether `gump discard` removed its branch."""
    replay: bool
    """Whether a cassette was played."""
    inputs: dict[str, str]
    """Inputs of the workflow, by name."""
    argv: list[str]
    """The command line."""
    versions: dict[str, str]
    """Versions of pytest_gump, pytest, python."""


@with_config(DESCRIBED)
class Report(TypedDict):
    """What a run did and cost. Times are ISO 8601 in UTC, durations seconds, money US dollars."""

    schema: Literal[1]
    """Version of this format: a field may be added without raising it."""
    run: RunFacts
    """Which run it was, and how it went."""
    totals: Totals
    """Sums over all of its attempts."""
    agents: list[AgentSum]
    """Sums by agent, in the order in which they first worked."""
    preflight: Preflight | None
    """What the gate commands said on the untouched base; null without."""
    steps: list[Step]
    """The steps, in the order in which they first started."""


def json_schema(*, strict: bool = False) -> dict[str, Any]:
    """Give the JSON Schema of the report; a strict one refuses fields that it does not name."""
    return schema_of(Report, f"gump report --json, version {SCHEMA}", strict=strict)


def text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
