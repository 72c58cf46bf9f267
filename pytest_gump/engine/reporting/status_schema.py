"""The shape of `gump status --json`, version 2, and its JSON Schema.

`python -m pytest_gump.engine.reporting.status_schema > docs/reference/status.schema.json` writes the schema.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Final, Literal

from pytest_gump.engine.reporting.report_schema import COST_SUM, STATE
from pytest_gump.engine.reporting.shapes import SECONDS, TIME, Shape, schema_of, schema_text

SCHEMA: Final = 2
"""Increased when a field is removed or changes its meaning, not when a field is added."""

RUNNING: Final = Shape(
    "Running",
    "A running attempt, or one that was interrupted with its run.",
    step=(str, "Address of its step: `build::impl[item-2]`."),
    attempt=(int, "Number of the attempt within its step, from 1."),
    agent=(str | None, "Agent; null for gates only."),
    started=(TIME, "When it started."),
)
WAITING: Final = Shape(
    "Waiting",
    "An attempt that will be repeated when a usage limit ends.",
    step=(str, "Address of its step."),
    attempt=(int, "Number of the attempt within its step, from 1."),
    agent=(str | None, "Agent."),
    until=(TIME, "Earliest time of the repetition."),
)
RUN_STATUS: Final = Shape(
    "RunStatus",
    "A run and its progress.",
    id=(str, "Id of the run."),
    workflow=(str, "Name of the workflow; empty while the run is being created."),
    spec=(str, "The spec, relative to the project."),
    status=(STATE, "Status of the run; interrupted: its process ended before the run did."),
    reason=(str, "Why the run ended; empty if the status says enough."),
    applied=(str | None, "Commit that `gump apply` created; null if the run is not applied."),
    discarded=(bool, "True if `gump discard` removed its branch."),
    pid=(int | None, "Process id; null unless the run is running."),
    started=(str | None, "When it started; null while the run is being created."),
    finished=(str | None, "When it ended; null until then."),
    duration_s=(
        SECONDS,
        "Wall-clock time so far, without the time between sessions and without waits for usage limits.",
    ),
    resumed=(int, "How often the run was resumed."),
    origin=(str | None, "Run whose results are reused (`--gump-from`); null if there is none."),
    max_budget_usd=(float | None, "Its budget; null without a limit."),
    cost=(COST_SUM, "Cost of the attempts that have ended."),
    attempts=(int, "Attempts that have started, without those of the run `origin`."),
    steps=(dict[str, int], "Steps by status: passed, failed, skipped, running, awaiting."),
    running=([RUNNING], "Attempts without a recorded decision; in an interrupted run, the interrupted attempts."),
    waiting=([WAITING], "Attempts that will be repeated when a usage limit of their agent's account ends."),
)
UNREADABLE: Final = Shape(
    "Unreadable",
    "A run whose files cannot be read.",
    id=(str, "Id of the run."),
    problem=(str, "Why it cannot be read."),
)
STATUS: Final = Shape(
    "Status",
    "The runs of a project, newest first. Times are ISO 8601 in UTC, durations are in seconds, money is in US dollars.",
    schema=(Literal[2], "Version of this format; it stays the same when a field is added."),
    runs=([RUN_STATUS], "The newest runs."),
    unreadable=([UNREADABLE], "Runs among the newest that cannot be read."),
    older=(int, "Number of runs that are not listed; `-n` lists more."),
)

json_schema: Final = partial(schema_of, STATUS, f"gump status --json, version {SCHEMA}")
text: Final = partial(schema_text, STATUS, f"gump status --json, version {SCHEMA}")

if __name__ == "__main__":
    sys.stdout.write(text())
