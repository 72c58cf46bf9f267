"""The shape of `gump status --json`, version 1, and its JSON Schema.

`python -m pytest_gump.engine.reporting.status_schema > docs/reference/status.schema.json` writes the latter.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Final, Literal

from pytest_gump.engine.reporting.report_schema import COST_SUM, STATE
from pytest_gump.engine.reporting.shapes import SECONDS, TIME, Shape, schema_of, schema_text

SCHEMA: Final = 1
"""Raised when a field goes or changes its meaning; new fields do not count."""

UNDER_WAY: Final = Shape(
    "UnderWay",
    "An attempt that runs, or that was cut off with its run.",
    step=(str, "Address of its step: `build::impl[item-2]`."),
    attempt=(int, "Place among those of the step, from 1."),
    agent=(str | None, "Agent; null for gates only."),
    started=(TIME, "When it started."),
)
WAITING: Final = Shape(
    "Waiting",
    "An attempt that is made once more when a limit is over.",
    step=(str, "Address of its step."),
    attempt=(int, "Place among those of the step, from 1."),
    agent=(str | None, "Agent."),
    until=(TIME, "Not before then."),
)
RUN_STATUS: Final = Shape(
    "RunStatus",
    "A run, as far as it is.",
    id=(str, "Id of the run."),
    workflow=(str, "Name of the workflow; empty while the run is just being made."),
    spec=(str, "The spec, relative to the project."),
    status=(STATE, "Interrupted: its process is gone."),
    reason=(str, "Why it ended, where a word is not enough."),
    applied=(str | None, "Commit that `gump apply` made; null without."),
    discarded=(bool, "Whether `gump discard` removed its branch."),
    pid=(int | None, "Process that carries it out; null unless it is running."),
    started=(str | None, "When it started; null while it is just being made."),
    finished=(str | None, "When it ended; null while it has not."),
    duration_s=(SECONDS, "Wall-clock time, until now for a run that is running; without that between two sessions."),
    resumed=(int, "How often the run was resumed after it had ended or was killed."),
    origin=(str | None, "The run that results were taken from (`--gump-from`)."),
    max_budget_usd=(float | None, "Its budget; null without."),
    cost=(COST_SUM, "What its attempts cost that have ended."),
    attempts=(int, "Attempts that have begun; those of the run `origin` do not count."),
    steps=(dict[str, int], "Steps by status: passed, failed, skipped, running."),
    under_way=([UNDER_WAY], "Attempts after which nothing was decided; of an interrupted run those that were cut off."),
    waiting=([WAITING], "Attempts that are made once more when a limit of their agent's account is over."),
)
UNREADABLE: Final = Shape(
    "Unreadable",
    "A run whose files cannot be read.",
    id=(str, "Id of the run."),
    problem=(str, "Why."),
)
STATUS: Final = Shape(
    "Status",
    "The runs of a project, the newest first. Times are ISO 8601 in UTC, durations seconds, money US dollars.",
    schema=(Literal[1], "Version of this format: a field may be added without raising it."),
    runs=([RUN_STATUS], "The newest runs."),
    unreadable=([UNREADABLE], "Those of the newest runs that cannot be read."),
    older=(int, "Runs that are not listed: `-n` shows more."),
)

json_schema: Final = partial(schema_of, STATUS, f"gump status --json, version {SCHEMA}")
text: Final = partial(schema_text, STATUS, f"gump status --json, version {SCHEMA}")

if __name__ == "__main__":
    sys.stdout.write(text())
