"""Run ids: `20261122-061512-tdd-7f3a0c`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from pytest_gump.workflow.path import slugify

_RUN_ID: Final = re.compile(r"(\d{8}-\d{6})-.+-[0-9a-f]{6}")


def new_run_id(workflow: str, *, now: datetime, chance: str) -> str:
    """Return a readable, unique id.

    The last part starts with the fraction of the second in 1/256, so that runs of the same second also sort by time.
    """
    return f"{now:%Y%m%d-%H%M%S}-{slugify(workflow, 1)}-{now.microsecond * 256 // 1_000_000:02x}{chance}"


def is_run_id(name: str) -> bool:
    return _RUN_ID.fullmatch(name) is not None


def started_at(run_id: str) -> float:
    """Return the time in the run id, in seconds since the epoch; 0 if there is none."""
    match = _RUN_ID.fullmatch(run_id)
    try:
        return datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp() if match else 0.0
    except ValueError:
        return 0.0


def by_time(run_id: str) -> tuple[str, str]:
    """Return a sort key that orders runs by the time in their ids."""
    date, _, rest = run_id.partition("-")
    return f"{date}-{rest[:6]}", rest.rpartition("-")[2]
