"""Run ids: `20261122-061512-tdd-7f3a0c`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from pytest_gump.workflow.path import slugify

_RUN_ID: Final = re.compile(r"(\d{8}-\d{6})-.+-[0-9a-f]{6}")


def new_run_id(workflow: str, *, now: datetime, chance: str) -> str:
    """Return an id that is readable and unique.

    The last part begins with the 256th of the second, so that runs of one second sort by time too.
    """
    return f"{now:%Y%m%d-%H%M%S}-{slugify(workflow, 1)}-{now.microsecond * 256 // 1_000_000:02x}{chance}"


def is_run_id(name: str) -> bool:
    return _RUN_ID.fullmatch(name) is not None


def started_at(run_id: str) -> float:
    """When the run was named, in seconds since the epoch; 0 if the id does not say."""
    match = _RUN_ID.fullmatch(run_id)
    try:
        return datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp() if match else 0.0
    except ValueError:
        return 0.0


def by_time(run_id: str) -> tuple[str, str]:
    """The sort key that puts runs in the order in which they were named."""
    date, _, rest = run_id.partition("-")
    return f"{date}-{rest[:6]}", rest.rpartition("-")[2]
