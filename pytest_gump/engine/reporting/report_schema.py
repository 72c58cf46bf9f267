"""The shape of `gump report --json`, version 1, and its JSON Schema.

`python -m pytest_gump.engine.reporting.report_schema > docs/reference/report.schema.json` writes the schema.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Final, Literal, get_args

from pytest_gump import order
from pytest_gump.engine.reporting.shapes import SECONDS, TIME, Shape, one_of, schema_of, schema_text
from pytest_gump.engine.schedule import records
from pytest_gump.gates.base import GateStatus

SCHEMA: Final = 1
"""Increased when a field is removed or changes its meaning, not when a field is added."""

_MODE: Final = one_of(*get_args(order.Mode), "")
_VERDICT: Final = one_of("", *get_args(records.AttemptVerdict))
_CHANGE: Final = one_of("added", "modified", "deleted", "type")
STATE: Final = one_of("running", "interrupted", "passed", "failed", "cancelled", "awaiting")

TOKENS: Final = Shape(
    "Tokens",
    "Tokens of all kinds; they do not overlap.",
    input=(int, "Input, without cached input."),
    cache_read=(int, "Read from the cache."),
    cache_write=(int, "Written to the cache."),
    output=(int, "Output, without reasoning."),
    reasoning=(int, "Reasoning."),
    total=(int, "Sum of the others."),
)
COST: Final = Shape(
    "Cost",
    "Cost of one attempt.",
    usd=(float | None, "US dollars; null if unknown."),
    provenance=(one_of("reported", "estimated", "unknown", "none"), "Source of the figure; none: gates only."),
)
COST_SUM: Final = Shape(
    "CostSum",
    "Cost of several attempts.",
    usd=(float, "US dollars: the sum of the known costs."),
    provenance=(one_of("reported", "estimated", "partly_unknown"), "The weakest provenance of the parts."),
    unknown_attempts=(int, "Attempts with usage but unknown cost; not part of `usd`."),
)
TURN_KINDS: Final = Shape(
    "TurnKinds",
    "Turns by what the model did: for each turn, the first of these kinds that applies.",
    write=(int, "It called a tool that writes a file."),
    command=(int, "It ran a command."),
    other=(int, "It called other tools."),
    text=(int, "It called no tool."),
)
SUM: Final = Shape(
    "Sum",
    "A sum over attempts, including failed and stopped ones.",
    attempts=(int, "Number of attempts that ended."),
    cost=(COST_SUM, "Their cost."),
    tokens=(TOKENS, "Their tokens."),
    turns=(int, "Answers of the model."),
    tool_calls=(int, "Tool calls of the model."),
    context_tokens=(int, "The longest context of a single answer of the model; 0 if no CLI reported it."),
    duration_s=(SECONDS, "Sum of the durations of the attempts, also of parallel ones."),
)
STALLS: Final[dict[str, tuple[Any, str]]] = {
    "tools_failed": (int, "Tool calls that ended with an error, as far as the CLI shows them."),
    "tools_repeated": (int, "Tool calls that repeat the call before: the same tool with the same file or command."),
    "tools_corrected": (int, "Tool calls that failed, and the same call succeeded later."),
    "failure_loops": (int, "Series of three or more failures of the same tool call in succession."),
    "turn_kinds": (TURN_KINDS, "Answers of the model by kind."),
    "longest_silence_s": (SECONDS, "Longest time without output of the agent."),
}
SPREAD: Final = Shape(
    "Spread",
    "Range of a figure over the attempts.",
    least=(int, "The smallest value."),
    median=(float, "The median."),
    most=(int, "The largest value."),
)
TOTALS: Final = Shape(
    "Totals",
    "Sums over the run.",
    steps=(int, "Number of steps."),
    retries=(int, "Failed attempts that were followed by another one, including escalations."),
    escalations=(int, "Retries by another agent."),
    waits=(int, "Attempts repeated after a wait because the agent's account reached a limit; they are not retries."),
    failovers=(int, "Attempts repeated by another agent because the agent's account reached a limit."),
    guards=(dict[str, int], "How often each guard stopped an agent, by name; guards that stopped none are left out."),
    **STALLS,
    turns_per_attempt=((SPREAD, None), "Answers of the model per attempt of an agent; null if no such attempt ended."),
    files_changed=(int | None, "Files that differ between `base` and `head` of the run; null until it ends."),
    lines_added=(int | None, "Lines added between them, without binary files; null until the run ends."),
    lines_removed=(int | None, "Lines removed between them, without binary files; null until the run ends."),
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
    "A file that changed since the step began.",
    path=(str, "Path, relative to the project."),
    status=(_CHANGE, "Kind of change; type: the file type changed, for example from a file to a link."),
    added=(int | None, "Added lines; null for a binary or very large file."),
    removed=(int | None, "Removed lines; null for a binary or very large file."),
)
CHANGES: Final = Shape(
    "Changes",
    "Changes since the step began; none in a step without an agent.",
    files_changed=(int, "Number of files."),
    lines_added=(int, "Added lines, without binary files."),
    lines_removed=(int, "Removed lines, without binary files."),
    files=([FILE], "The changed files."),
)
_ANSWER: Final = {
    "name": (str, "Name of the gate, with its argument."),
    "status": (one_of(*get_args(GateStatus)), "Error: the check itself could not run."),
    "summary": (str, "Result in one line."),
}
_TESTS: Final = (dict[str, int] | None, "Number of tests: `collected`, and by outcome; null if they are not recorded.")
CHECKED: Final = Shape("Checked", "A gate's result in short.", **_ANSWER, tests=_TESTS)
GATE: Final = Shape(
    "Gate",
    "A gate's result.",
    **_ANSWER,
    command=(str | None, "The command; null for a gate without one."),
    exit_code=(int | None, "Exit code of the command."),
    duration_s=(SECONDS, "Duration of the gate."),
    tests=_TESTS,
)
PREFLIGHT: Final = Shape(
    "Preflight",
    "Results of the gate commands on the base commit.",
    gates=([CHECKED], "The gates."),
    red=(list[str], "Names of the gates that failed."),
    reason=(str | None, "Why the run stopped there; null if it continued."),
    duration_s=(float | None, "Duration; it counts for the run, but for no attempt. Null in runs of an older version."),
)
RESULT: Final = Shape(
    "Result",
    "Result of an attempt.",
    outcome=(str, "One of docs/reference/outcomes.md; running: the attempt has not ended."),
    reason=(str, "Why it did not pass, in one line."),
    model=(str | None, "Model that the CLI reported."),
    cost=(COST, "Its cost."),
    tokens=(TOKENS, "Its tokens."),
    turns=(int, "Answers of the model."),
    tool_calls=(int, "Tool calls of the model."),
    **STALLS,
    first_write_s=(
        float | None,
        "Seconds from the agent's start to its first call of a writing tool; null without one.",
    ),
    first_write_turn=(int | None, "Number of the answer with that call."),
    context_tokens=(int, "The longest context of a single answer of the model, with the cache; 0 if not reported."),
    duration_s=(SECONDS, "Time of the attempt."),
    agent_s=(SECONDS, "Time of the agent."),
    gates_s=(SECONDS, "Time of the gates."),
    **CHANGES.fields,
    gates=([GATE], "The gates, in order."),
    resets_at=(str | None, "For `quota`: when the limit resets, if the CLI reported it."),
    guard=(str | None, "Guard that stopped the agent."),
    session=(str | None, "Id of the conversation."),
    snapshot=(str | None, "Commit with the attempt's files."),
    no_change=(str | None, "The agent's reason for changing no file; null if a file changed or the attempt failed."),
    named_changes=(list[str], "Lines on changes that no gate forbids, but that a person should review."),
    gate_config=(list[str], "Changed files that configure gates."),
    notes=(list[str], "Remarks."),
)
BEGUN: Final = Shape(
    "Begun",
    "The fields of an attempt that are known when it starts.",
    number=(int, "Number among all attempts of the run, from 1."),
    attempt=(int, "Number among the attempts of the step, from 1; never restarts."),
    agent=(str | None, "Agent; null for gates only."),
    mode=(_MODE, "Kind of the agent's output."),
    entry=(one_of(*get_args(records.EntryKind)), "How the step was entered."),
    because=(str | None, "The failure that caused it; null for a first attempt."),
    started=(TIME, "When it started."),
    folder=(str | None, "Its folder below `attempts/` of the run."),
    verdict=(
        _VERDICT,
        "Decision after it; again: an enclosing step continues; judged: validators run; waited, failover: repeated.",
    ),
    decision=(str, "Remark on the decision."),
    session_resumed=(bool, "True if it continued an earlier conversation."),
    reused=(bool, "True if the run `origin` made and paid for it; it is not part of the sums."),
    superseded=(
        bool,
        "True if its result is no longer valid because its step runs again after a resume; it is part of the sums.",
    ),
)
RUNNING: Final = Shape(
    "Running",
    "An attempt that has not ended.",
    **BEGUN.fields,
    outcome=(Literal["running"], "Always `running`."),
    reason=(str, "Empty."),
)
ENDED: Final = Shape("Ended", "An attempt that has ended.", **BEGUN.fields, **RESULT.fields)
STEP: Final = Shape(
    "Step",
    "A step and its attempts.",
    path=(str, "Address of the step: `build::impl[item-2]`."),
    mode=(_MODE, "Kind of its output; empty for a step that never started."),
    status=(one_of("passed", "failed", "skipped", "running", "awaiting"), "Status of the step."),
    outcome=(
        str,
        "One of docs/reference/outcomes.md, usually that of its last attempt; running: the step has not ended.",
    ),
    reason=(str, "Why it failed or was skipped."),
    reservations=(list[str], "For a step that passed: gates that were skipped, and why no file had to change."),
    agent=(str | None, "Agent of its last attempt; null for gates only."),
    retries=(int, "Failed attempts that were followed by another one, including escalations."),
    **CHANGES.fields,
    totals=(SUM, "Sums over its attempts, without reused ones."),
    attempts=([(ENDED, RUNNING)], "The attempts, in order."),
)
RUN: Final = Shape(
    "RunFacts",
    "The run.",
    id=(str, "Id of the run."),
    workflow=(str, "Name of the workflow."),
    source=(one_of("project", "user", "built-in", "file") | None, "Where the workflow was found."),
    spec=(str, "The spec, relative to the project."),
    status=(STATE, "Status of the run; interrupted: its process ended before the run did."),
    reason=(str, "Why the run ended; empty if the status says enough."),
    base=(str, "Commit that the run started from."),
    base_ref=(str | None, "Name that the user gave for `base`."),
    dirty_base=(
        str | None,
        "With --gump-dirty=include: the commit below the uncommitted changes in `base`.",
    ),
    branch=(str, "Branch of the run."),
    head=(str, "Commit with the run's files, after the last passed step."),
    branches_left=(
        dict[str, str],
        "Branches that the run no longer moves, each with the reason: moved by someone else, or checked out.",
    ),
    checkout_changed=(list[str], "The first 20 changes in the user's checkout during the run, by anyone."),
    unchanged=(bool | None, "True if no file differs between `base` and `head`: nothing to merge; null until it ends."),
    started=(TIME, "When it started."),
    finished=(str | None, "When it ended; null until then."),
    duration_s=(SECONDS, "Wall-clock time, without the time between sessions and without waits for usage limits."),
    resumed=(int, "How often the run was resumed."),
    origin=(str | None, "Run whose results are reused (`--gump-from`); null if there is none."),
    max_budget_usd=(float | None, "Its budget; null without a limit."),
    applied=(str | None, "Commit that `gump apply` created; null if the run is not applied."),
    discarded=(bool, "True if `gump discard` removed its branch."),
    replay=(bool, "True if a cassette was replayed."),
    inputs=(dict[str, str], "Inputs of the workflow, by name."),
    argv=(list[str], "The command line."),
    versions=(dict[str, str], "Versions of pytest_gump, pytest, python."),
)
APPROVAL: Final = Shape(
    "Approval",
    "The answer of a person about an attempt that needed an approval.",
    step=(str, "Address of its step."),
    number=(int, "Number of the attempt in the run, or in the one whose results are reused."),
    commit=(str, "Commit with the files."),
    approved=(bool, "False if the person rejected them."),
    text=(str, "Reason of a rejection."),
    by=(str, "Who answered."),
    at=(TIME, "When."),
)
REPORT: Final = Shape(
    "Report",
    "Steps and cost of a run. Times are ISO 8601 in UTC, durations are in seconds, money is in US dollars.",
    schema=(Literal[1], "Version of this format; it stays the same when a field is added."),
    run=(RUN, "Facts about the run."),
    totals=(TOTALS, "Sums over all of its attempts."),
    agents=([AGENT_SUM], "Sums by agent, in the order of their first attempts."),
    preflight=((PREFLIGHT, None), "Results of the gate commands on the base commit; null without a preflight."),
    steps=([STEP], "The steps, in the order in which they first started."),
    approvals=([APPROVAL], "People's answers about steps that needed an approval, oldest first."),
)

json_schema: Final = partial(schema_of, REPORT, f"gump report --json, version {SCHEMA}")
text: Final = partial(schema_text, REPORT, f"gump report --json, version {SCHEMA}")

if __name__ == "__main__":
    sys.stdout.write(text())
