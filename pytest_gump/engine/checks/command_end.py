"""How a command ended, in addition to its exit code."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from pytest_gump.system.processes.command import TOO_MANY_BYTES, TOO_MANY_LINES
from pytest_gump.units import format_duration, plural

if TYPE_CHECKING:
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.processes.process import Exit


def too_much(finished: Exit, settings: Settings) -> str | None:
    """Return the output limit that the command exceeded, with its setting; None if it exceeded none."""
    if finished.stopped == TOO_MANY_BYTES:
        return f"stopped: it printed more than {settings.stream_bytes / 1_000_000:.0f} MB (gump_stream_bytes)"
    if finished.stopped == TOO_MANY_LINES:
        return f"stopped: it printed more than {settings.stream_lines} lines (gump_stream_lines)"
    return None


def left_behind(finished: Exit, whose: str) -> list[str]:
    """Return notes on processes that were ended after the command itself, and on those that could not be ended."""
    notes = []
    if left := finished.left_running:
        verb = "was" if left == 1 else "were"
        notes.append(f"{plural(left, 'process', 'processes')} that {whose} left running {verb} ended")
    if alive := finished.unkilled:
        verb = "is" if alive == 1 else "are"
        notes.append(
            f"{plural(alive, 'process', 'processes')} that {whose} started could not be ended and {verb} still running"
        )
    return notes


def why_no_exit(finished: Exit, timeout_s: float, settings: Settings) -> str | None:
    """Return why the command has no exit code; None if it has one."""
    if why := finished.error or too_much(finished, settings):
        return why
    if finished.unkilled:
        return "; ".join(left_behind(finished, "it"))
    if finished.stopped is not None:
        return f"timed out after {format_duration(timeout_s)}"
    if finished.signal is not None:
        return f"ended by signal {finished.signal} ({signal.strsignal(finished.signal) or 'unknown'})"
    return None
