"""`gump log --follow`: show a running attempt line by line until it ends."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from pytest_gump.cli.log.stream import follow_stream
from pytest_gump.engine.attempt.workplace import folder_prefix
from pytest_gump.engine.record.stored_run import StoredRun
from pytest_gump.errors import GumpError, RunError
from pytest_gump.system.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.records import AttemptRecord

POLL_S: Final = 0.3


def running_attempt(run: StoredRun) -> AttemptRecord:
    """Return the running attempt of a run; of several, the one that started last.

    Raises:
        RunError: No attempt is running.
    """
    running = [attempt for attempt in run.record.attempts if attempt.usage is None] if run.state == "running" else []
    if not running:
        raise RunError(f"no attempt of run {run.id} is running", hint="gump status lists the runs")
    return running[-1]


def files_of_running(run: StoredRun, attempt: AttemptRecord) -> Path | None:
    """Return the folder of a running attempt's files; None if it does not exist yet or is on another machine."""
    from pytest_gump.cli.effective import worktrees  # imports pytest, which a finished attempt does not need

    try:
        scratch = worktrees(run.repository()) / f"{run.id}.scratch"
    except GumpError:
        return None
    prefix = folder_prefix(attempt.step, attempt.attempt)
    found = [*scratch.glob(f"{prefix}*/"), *scratch.glob(f"*/{prefix}*/")]
    return max(found, key=lambda path: path.name, default=None)


def mask_secrets() -> Callable[[str], str]:
    """Return a function that masks secrets of the environment. Files of a running attempt are not masked yet."""
    return Secrets.named(os.environ).mask


def follow(run: StoredRun, attempt: AttemptRecord, out: Out) -> StoredRun:
    """Print the agent's actions as they happen. Return the run, read again after the end of the attempt."""
    clean = mask_secrets()
    lines: Iterator[str | None] = iter(())
    is_open, now = False, run
    while True:
        ended = now.state != "running" or now.record.attempts[attempt.number - 1].usage is not None
        folder = None if is_open else files_of_running(run, attempt)
        if folder is not None:
            lines, is_open = follow_stream(attempt, folder, arrow=out.marks.arrow), True
        for line in lines:
            if line is None:
                break
            out.text(clean(line), indent="  ")
        out.flush()
        if ended:
            return now
        time.sleep(POLL_S)
        now = StoredRun.read(run.folder)
