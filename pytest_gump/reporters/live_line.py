"""Text of the live line. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.text import fit, width
from pytest_gump.units import format_duration, format_usd, plural
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.text import Marks

DOING_COLUMNS: Final = 40
"""Columns for a tool call with its target on a wide terminal."""
SHORT_DOING_COLUMNS: Final = 20


@dataclass(slots=True)
class Running:
    """State of a running attempt, from the events so far."""

    label: str
    """Label of its run; empty if there is only one run."""
    step: str
    agent: str | None
    turns: int = 0
    usd: float | None = None
    seconds: float = 0.0
    attempt: int = 1
    """Attempt number; 0 for the preflight, which is not a step."""
    why: str = ""
    """Reason of the retry."""
    doing: str = ""
    """The last tool call or the running gate: `Bash pytest -q`, `gate: test`."""
    is_estimated: bool = False
    """True if `usd` is an estimate."""


class Progress(NamedTuple):
    """Progress and cost of the runs."""

    settled: int = 0
    known: int = 0
    """Number of known steps; 0 if unknown. Steps of plan items count when the plan exists."""
    spent_usd: float = 0.0
    budget_usd: float | None = None
    is_estimated: bool = False

    @property
    def money(self) -> str:
        if self.budget_usd is None and not self.spent_usd:
            return ""
        spent = format_usd(self.spent_usd, estimated=self.is_estimated)
        return f"run {spent}" + ("" if self.budget_usd is None else f" of {format_usd(self.budget_usd)}")


def live_line(
    running: Sequence[Running],
    marks: Marks,
    columns: int,
    *,
    waits: Sequence[tuple[str, float]] = (),
    progress: Progress | None = None,
) -> str:
    """Return a line with all running attempts. It is shorter than the terminal is wide.

    Args:
        running: The attempts, oldest first.
        marks: Symbols that the terminal supports.
        columns: Width of the terminal.
        waits: CLIs that wait for a usage limit, each with the remaining seconds.
        progress: Progress of all runs together.
    """
    progress = progress or Progress()
    if waits:
        shown = [waits_text(*wait) for wait in waits] + [_short(attempt, "{step} {time}") for attempt in running]
        return fit(f"{marks.running} {' | '.join(shown)}", columns - 1)
    if len(running) == 1:
        return _single(running[0], progress, marks, columns - 1)
    return _several(running, progress, marks, columns - 1)


def waits_text(cli: str, seconds: float) -> str:
    """Return `claude waits for its usage limit, 12:30 left`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{cli} waits for its usage limit, {left} left"


def running_text(attempt: Running, progress: Progress | None = None) -> str:
    """Return a running attempt with all parts of the live line."""
    return "  ".join(part for part in _parts(attempt, progress or Progress()).values() if part)


def progress_text(running: int, progress: Progress) -> str:
    """Return `2 running  3/8 steps  run $0.31 of $5.00`."""
    done = f"{progress.settled}/{progress.known} steps" if progress.known else ""
    return "  ".join(filter(None, (f"{running} running", done, progress.money)))


def _parts(attempt: Running, progress: Progress) -> dict[str, str]:
    """Parts of the line by name, in display order."""
    position = f"{min(progress.settled + 1, progress.known)}/{progress.known}"
    return {
        "position": position if progress.known and attempt.attempt else "",
        "step": f"{attempt.label}{attempt.step}",
        "agent": attempt.agent or ("" if attempt.doing else "gate"),
        "attempt": f"attempt {attempt.attempt}" if attempt.attempt > 1 else "",
        "why": f"({fit(attempt.why, DOING_COLUMNS)})" if attempt.why else "",
        "doing": fit(attempt.doing, DOING_COLUMNS),
        "turns": plural(attempt.turns, "turn") if attempt.turns else "",
        "usd": format_usd(attempt.usd, estimated=attempt.is_estimated) if attempt.usd is not None else "",
        "time": format_duration(attempt.seconds),
        "money": progress.money,
    }


def _single(attempt: Running, progress: Progress, marks: Marks, columns: int) -> str:
    """Shorten or omit the least important part until the line fits."""
    parts = _parts(attempt, progress)
    phase = attempt.doing or ("agent" if attempt.agent else "")
    for name, shorter in (
        ("why", ""),
        ("agent", ""),
        ("doing", fit(phase, SHORT_DOING_COLUMNS)),
        ("usd", ""),
        ("turns", ""),
        ("step", f"{attempt.label}{StepPath.parse(attempt.step).leaf}"),
        ("attempt", f"#{attempt.attempt}" if attempt.attempt > 1 else ""),
        ("money", progress.money.removeprefix("run ")),
        ("doing", fit(phase, SHORT_DOING_COLUMNS // 2)),
        ("position", ""),
        ("doing", ""),
        ("money", ""),
    ):
        line = _joined(parts, marks)
        if width(line) <= columns:
            return line
        parts[name] = shorter
    return fit(_joined(parts, marks), columns)


def _joined(parts: dict[str, str], marks: Marks) -> str:
    return f"{marks.running} {'  '.join(filter(None, parts.values()))}"


def _several(running: Sequence[Running], progress: Progress, marks: Marks, columns: int) -> str:
    """Show fewer parts of each attempt until the line fits."""
    head = progress_text(len(running), progress)
    for start, form in (
        (head, "{step} {agent} {doing} {turns} {usd} {time}"),
        (head, "{step} {doing} {usd} {time}"),
        (head, "{step} {usd} {time}"),
        (head, "{step} {time}"),
        (str(len(running)), "{step} {time}"),
        (str(len(running)), "{step}"),
    ):
        line = f"{marks.running} {start}: {' | '.join(_short(attempt, form) for attempt in running)}"
        if width(line) <= columns:
            break
    return fit(line, columns)


def _short(attempt: Running, form: str) -> str:
    parts = {
        "step": f"{attempt.label}{StepPath.parse(attempt.step).leaf}",
        "agent": attempt.agent or "gate",
        "doing": fit(attempt.doing, SHORT_DOING_COLUMNS),
        "turns": f"{attempt.turns}t" if attempt.turns else "",
        "usd": format_usd(attempt.usd, estimated=attempt.is_estimated) if attempt.usd is not None else "",
        "time": format_duration(attempt.seconds),
    }
    return " ".join(form.format(**parts).split())
