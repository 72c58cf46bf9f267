"""Whether the process of a run still lives. Pids are used again, so its start time counts too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import RunRecord

TOLERANCE_S: Final = 2.0
"""Start times are derived from the boot time, which a clock that is set moves a little."""


def is_alive(pid: int | None, created: float | None) -> bool:
    """Say whether the process with this pid is the one that started at `created`."""
    if pid is None or created is None:
        return False
    import psutil  # only a run that has not ended needs it

    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - created) > TOLERANCE_S:
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def run_state(record: RunRecord) -> str:
    """Give the status of a run; a run whose process is gone without having closed its ledger is `interrupted`."""
    if record.status == "running" and not is_alive(record.pid, record.pid_created):
        return "interrupted"
    return record.status


def process_text(record: RunRecord) -> str:
    """` (pid 123)`; nothing while that is not booked yet."""
    return "" if record.pid is None else f" (pid {record.pid})"
