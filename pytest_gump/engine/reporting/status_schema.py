"""The shape of `gump status --json`, version 1: what `status_data` is type-checked against, and its JSON Schema.

`python -m pytest_gump.engine.reporting.status_schema > docs/reference/status.schema.json` writes the latter.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final, Literal

from pydantic import with_config
from typing_extensions import TypedDict  # pydantic takes no other on Python 3.11

from pytest_gump.engine.reporting.json_schema import DESCRIBED, one_of, schema_of
from pytest_gump.engine.reporting.report_schema import CostSum  # noqa: TC001 - pydantic reads it

SCHEMA: Final = 1
"""Raised when a field goes or changes its meaning; new fields do not count."""


@with_config(DESCRIBED)
class UnderWay(TypedDict):
    """An attempt that goes on, or that was cut off with its run."""

    step: str
    """Address of its step: `build::impl[item-2]`."""
    attempt: int
    """Place among those of the step, from 1."""
    agent: str | None
    """Agent; null for gates only."""
    started: str
    """When it started."""


@with_config(DESCRIBED)
class Waiting(TypedDict):
    """An attempt that is made once more when a limit is over."""

    step: str
    """Address of its step."""
    attempt: int
    """Place among those of the step, from 1."""
    agent: str | None
    """Agent."""
    until: str
    """Not before then."""


@with_config(DESCRIBED)
class RunStatus(TypedDict):
    """A run, as far as it is."""

    id: str
    """Id of the run."""
    workflow: str
    """Name of the workflow; empty while the run is just being made."""
    spec: str
    """The spec, relative to the project."""
    status: Annotated[str, one_of("running", "interrupted", "passed", "failed", "cancelled")]
    """Interrupted: its process is gone."""
    reason: str
    """Why it ended, where a word is not enough."""
    applied: str | None
    """Commit that `gump apply` made; null without."""
    discarded: bool
    """Whether `gump discard` removed its branch."""
    pid: int | None
    """Process that carries it out; null unless it is running."""
    started: str | None
    """When it started; null while it is just being made."""
    finished: str | None
    """When it ended; null while it has not."""
    duration_s: float
    """Wall-clock time, until now for a run that is running; without that between two sessions."""
    resumed: int
    """How often the run was taken up after it had ended or was killed."""
    origin: str | None
    """The run that results were taken from (`--gump-from`)."""
    max_budget_usd: float | None
    """Its budget; null without."""
    cost: CostSum
    """What its attempts cost that have ended."""
    attempts: int
    """Attempts that have begun; those of the run `origin` do not count."""
    steps: dict[str, int]
    """Steps by status: passed, failed, skipped, running."""
    under_way: list[UnderWay]
    """Attempts after which nothing was decided yet; of an interrupted run those that were cut off."""
    waiting: list[Waiting]
    """Attempts that are made once more when a limit of their agent's account is over."""


@with_config(DESCRIBED)
class Unreadable(TypedDict):
    """A run whose files cannot be read."""

    id: str
    """Id of the run."""
    problem: str
    """Why."""


@with_config(DESCRIBED)
class Status(TypedDict):
    """The runs of a project, the newest first. Times are ISO 8601 in UTC, durations seconds, money US dollars."""

    schema: Literal[1]
    """Version of this format: a field may be added without raising it."""
    runs: list[RunStatus]
    """The newest runs."""
    unreadable: list[Unreadable]
    """Those of the newest runs that cannot be read."""
    older: int
    """Runs that are not listed: `-n` shows more."""


def json_schema(*, strict: bool = False) -> dict[str, Any]:
    """Give the JSON Schema of the list; a strict one refuses fields that it does not name."""
    return schema_of(Status, f"gump status --json, version {SCHEMA}", strict=strict)


def text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
