"""The shape of `gump report --json`, version 1, and its JSON Schema.

`python -m pytest_gump.engine.reporting.report_schema > docs/reference/report.schema.json` writes the latter.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Final, Literal, get_args

from pytest_gump import order
from pytest_gump.engine.reporting.shapes import SECONDS, TIME, Shape, one_of, schema_of, schema_text
from pytest_gump.engine.schedule import records
from pytest_gump.gates.base import GateStatus

SCHEMA: Final = 1
"""Raised when a field goes or changes its meaning; new fields do not count."""

_MODE: Final = one_of(*get_args(order.Mode), "")
_VERDICT: Final = one_of("", *get_args(records.AttemptVerdict))
_CHANGE: Final = one_of("added", "modified", "deleted", "type")
STATE: Final = one_of("running", "interrupted", "passed", "failed", "cancelled")

TOKENS: Final = Shape(
    "Tokens",
    "Tokens of all kinds; they do not overlap.",
    input=(int, "Read fresh."),
    cache_read=(int, "Read from the cache."),
    cache_write=(int, "Written to the cache."),
    output=(int, "Written, without reasoning."),
    reasoning=(int, "Reasoning."),
    total=(int, "Sum of the others."),
)
COST: Final = Shape(
    "Cost",
    "What one attempt cost.",
    usd=(float | None, "US dollars; null if unknown."),
    provenance=(one_of("reported", "estimated", "unknown", "none"), "Who says so; none: gates only."),
)
COST_SUM: Final = Shape(
    "CostSum",
    "What several attempts cost together.",
    usd=(float, "US dollars: the sum of the known costs."),
    provenance=(one_of("reported", "estimated", "partly_unknown"), "The weakest of the parts."),
    unknown_attempts=(int, "Attempts that consumed something and whose cost is unknown; not part of `usd`."),
)
SUM: Final = Shape(
    "Sum",
    "A sum over attempts, failed and stopped ones included.",
    attempts=(int, "Number of attempts that ended."),
    cost=(COST_SUM, "What they cost together."),
    tokens=(TOKENS, "Their tokens."),
    turns=(int, "Answers of the model."),
    tool_calls=(int, "Tools that it called."),
    context_tokens=(int, "The longest context of one answer of the model, over all attempts; 0 if no CLI reported it."),
    duration_s=(SECONDS, "Time of the attempts, one after the other."),
)
SPREAD: Final = Shape(
    "Spread",
    "Range of a figure over the attempts.",
    least=(int, "The smallest value."),
    median=(float, "The middle value, or the mean of the two in the middle."),
    most=(int, "The greatest value."),
)
TOTALS: Final = Shape(
    "Totals",
    "Sums over the run.",
    steps=(int, "Number of steps."),
    retries=(int, "Failed attempts that were followed by another one, escalations included."),
    escalations=(int, "Retries that went to another agent."),
    waits=(int, "Attempts repeated after a wait, because the agent's account was at a limit; they are not retries."),
    failovers=(int, "Attempts repeated by another agent for that reason."),
    guards=(dict[str, int], "How often each guard stopped an agent, by name; guards that stopped none are left out."),
    turns_per_attempt=((SPREAD, None), "Answers of the model in one attempt of an agent; null if no such one ended."),
    files_changed=(int | None, "Files that differ between `base` and `head` of the run; null until it ends."),
    lines_added=(int | None, "Lines added between them; binary files count none; null until the run ends."),
    lines_removed=(int | None, "Lines removed between them; binary files count none; null until the run ends."),
    **SUM.fields,
)
AGENT_SUM: Final = Shape(
    "AgentSum",
    "Sums over the attempts of one agent.",
    agent=(str, "Its name in the workflow."),
    passed=(int, "Its attempts that passed."),
    **SUM.fields,
)
FILE: Final = Shape(
    "File",
    "A file that differs from when the step began.",
    path=(str, "Path, relative to the project."),
    status=(_CHANGE, "What became of it; type: a file became a link, or the like."),
    added=(int | None, "Lines; null for a binary or very large file."),
    removed=(int | None, "Lines; null for a binary or very large file."),
)
CHANGES: Final = Shape(
    "Changes",
    "What changed since the step began; nothing in a step without an agent.",
    files_changed=(int, "Number of files."),
    lines_added=(int, "Lines; binary files count none."),
    lines_removed=(int, "Lines; binary files count none."),
    files=([FILE], "Each of them."),
)
_ANSWER: Final = {
    "name": (str, "Name of the gate, with its argument."),
    "status": (one_of(*get_args(GateStatus)), "Error: the check itself could not run."),
    "summary": (str, "What a person should know of it."),
}
_TESTS: Final = (dict[str, int] | None, "Number of tests `collected` and of each outcome; null if none are recorded.")
CHECKED: Final = Shape("Checked", "A gate's answer in short.", **_ANSWER, tests=_TESTS)
GATE: Final = Shape(
    "Gate",
    "A gate's answer.",
    **_ANSWER,
    command=(str | None, "What was run; null where that is no command."),
    exit_code=(int | None, "Exit code of the command."),
    duration_s=(SECONDS, "How long it took."),
    tests=_TESTS,
)
PREFLIGHT: Final = Shape(
    "Preflight",
    "What the gate commands said on the untouched base.",
    gates=([CHECKED], "Each gate."),
    red=(list[str], "Names of those that failed."),
    reason=(str | None, "Why the run stopped there; null if it went on."),
    duration_s=(float | None, "How long it took; part of the run's time only. Null in runs of an older version."),
)
RESULT: Final = Shape(
    "Result",
    "What came out of an attempt.",
    outcome=(str, "One of docs/reference/outcomes.md; running: the attempt has not ended."),
    reason=(str, "One line that says why it did not pass."),
    model=(str | None, "Model that the CLI named."),
    cost=(COST, "What it cost."),
    tokens=(TOKENS, "Its tokens."),
    turns=(int, "Answers of the model."),
    tool_calls=(int, "Tools that it called."),
    tools_failed=(int, "Tool calls that ended with an error, as far as the CLI shows them."),
    tools_repeated=(int, "Tool calls that repeat the call before: the same tool with the same file or command."),
    first_write_s=(
        float | None,
        "Seconds from the agent's start to its first call of a writing tool; null without.",
    ),
    context_tokens=(int, "The longest context of one answer of the model, the cache included; 0: not reported."),
    duration_s=(SECONDS, "Time of the attempt."),
    agent_s=(SECONDS, "Time of the agent."),
    gates_s=(SECONDS, "Time of the gates."),
    **CHANGES.fields,
    gates=([GATE], "Each gate, in order."),
    resets_at=(str | None, "Of a `quota`: when the limit is over, as far as the CLI said."),
    guard=(str | None, "Guard that stopped the agent."),
    session=(str | None, "Id of the conversation."),
    snapshot=(str | None, "Commit of what the attempt left."),
    no_change=(str | None, "The agent's reason for changing no file; null for an attempt that changed some or failed."),
    named_changes=(list[str], "Lines on changes that no gate forbids and that a person should look at."),
    gate_config=(list[str], "Changed files that gates read."),
    notes=(list[str], "Remarks."),
)
BEGUN: Final = Shape(
    "Begun",
    "What is known of an attempt before it ends.",
    number=(int, "Place among all attempts of the run, from 1."),
    attempt=(int, "Place among those of the step, from 1; never starts over."),
    agent=(str | None, "Agent; null for gates only."),
    mode=(_MODE, "What the agent delivers."),
    entry=(one_of(*get_args(records.EntryKind)), "Why it was made."),
    because=(str | None, "The failure that it answers; null for a first attempt."),
    started=(TIME, "When it started."),
    folder=(str | None, "Its folder below `attempts/` of the run."),
    verdict=(
        _VERDICT,
        "What followed; again: an enclosing step went on; waited, failover: repeated for a limit; empty: nothing.",
    ),
    decision=(str, "A remark on that decision."),
    session_resumed=(bool, "Whether it went on with an earlier conversation."),
    reused=(bool, "Whether it was made, and paid for, in the run `origin`: it is part of no sum."),
    superseded=(
        bool,
        "Whether its result is no longer valid, as its step runs again in a resumed run; it is part of the sums.",
    ),
)
RUNNING: Final = Shape(
    "Running",
    "An attempt that has not ended.",
    **BEGUN.fields,
    outcome=(Literal["running"], "It has none yet."),
    reason=(str, "Empty."),
)
ENDED: Final = Shape("Ended", "An attempt that has ended.", **BEGUN.fields, **RESULT.fields)
STEP: Final = Shape(
    "Step",
    "A step, and its attempts.",
    path=(str, "Address of the step: `build::impl[item-2]`."),
    mode=(_MODE, "What it delivers; empty for a step that never started."),
    status=(one_of("passed", "failed", "skipped", "running"), "How it ended."),
    outcome=(str, "How it ended, of docs/reference/outcomes.md: mostly as its last attempt; running: it has not."),
    reason=(str, "Why it failed or was skipped."),
    reservations=(list[str], "Of a step that passed: gates that were skipped, and why no file had to change."),
    agent=(str | None, "That of its last attempt; null for gates only."),
    retries=(int, "Failed attempts that were followed by another one, escalations included."),
    **CHANGES.fields,
    totals=(SUM, "Sums over its attempts, but for those that were reused."),
    attempts=([(ENDED, RUNNING)], "In order."),
)
RUN: Final = Shape(
    "RunFacts",
    "The run.",
    id=(str, "Id of the run."),
    workflow=(str, "Name of the workflow."),
    source=(one_of("project", "user", "built-in", "file") | None, "Where it was found."),
    spec=(str, "The spec, relative to the project."),
    status=(STATE, "Interrupted: its process is gone."),
    reason=(str, "Why it ended, where a word is not enough."),
    base=(str, "Commit that the run started from."),
    base_ref=(str | None, "How that was named."),
    dirty_base=(
        str | None,
        "With --gump-dirty=include: the commit below the uncommitted changes in `base`.",
    ),
    branch=(str, "Branch of the run."),
    head=(str, "Commit where the run's files stand: the last passed step."),
    branches_left=(
        dict[str, str],
        "Branches that the run left alone, each with the reason: moved, or checked out.",
    ),
    checkout_changed=(list[str], "What changed in the user's checkout during the run, whoever did it; the first 20."),
    unchanged=(bool | None, "True if no file differs between `base` and `head`: nothing to merge; null while it runs."),
    started=(TIME, "When it started."),
    finished=(str | None, "When it ended; null while it has not."),
    duration_s=(SECONDS, "Wall-clock time, without that between two sessions of the run and without waits for limits."),
    resumed=(int, "How often the run was resumed after it had ended or was killed."),
    origin=(str | None, "The run that results were taken from (`--gump-from`)."),
    max_budget_usd=(float | None, "Its budget; null without."),
    applied=(str | None, "Commit that `gump apply` made; null without."),
    discarded=(bool, "Whether `gump discard` removed its branch."),
    replay=(bool, "Whether a cassette was played."),
    inputs=(dict[str, str], "Inputs of the workflow, by name."),
    argv=(list[str], "The command line."),
    versions=(dict[str, str], "Versions of pytest_gump, pytest, python."),
)
REPORT: Final = Shape(
    "Report",
    "What a run did and cost. Times are ISO 8601 in UTC, durations seconds, money US dollars.",
    schema=(Literal[1], "Version of this format: a field may be added without raising it."),
    run=(RUN, "Which run it was, and how it went."),
    totals=(TOTALS, "Sums over all of its attempts."),
    agents=([AGENT_SUM], "Sums by agent, in the order in which they first worked."),
    preflight=((PREFLIGHT, None), "What the gate commands said on the untouched base; null without."),
    steps=([STEP], "The steps, in the order in which they first started."),
)

json_schema: Final = partial(schema_of, REPORT, f"gump report --json, version {SCHEMA}")
text: Final = partial(schema_text, REPORT, f"gump report --json, version {SCHEMA}")

if __name__ == "__main__":
    sys.stdout.write(text())
