"""Check whether the process of a run is alive. Pids are reused, so its start time is compared too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import RunRecord

TOLERANCE_S: Final = 2.0
"""Start times are derived from the boot time, which shifts slightly when the clock is set."""


def is_alive(pid: int | None, created: float | None) -> bool:
    """True if the process with this pid is the one that started at `created` (seconds since the epoch), and is running.

    Also True if the system does not allow the check.
    """
    if pid is None or created is None:
        return False
    import psutil  # late: needed only for a run that has not ended

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
    """Return the status of a run: `interrupted` if its process is gone and the ledger does not record an end."""
    if record.status == "running" and not is_alive(record.pid, record.pid_created):
        return "interrupted"
    return record.status


def process_text(record: RunRecord) -> str:
    """Return ` (pid 123)`, or an empty string if the pid is not recorded yet."""
    return "" if record.pid is None else f" (pid {record.pid})"
