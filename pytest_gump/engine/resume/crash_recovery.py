"""What is known of attempts that were in flight when their session was killed."""

from __future__ import annotations

import glob
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import Usage
from pytest_gump.engine.attempt.recovery import recover
from pytest_gump.engine.attempt.snapshots import stored_result
from pytest_gump.engine.attempt.workplace import FOLDER_CHARS
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.refs import snapshot_ref
from pytest_gump.order import AttemptResult, Order, Outcome, from_wire
from pytest_gump.system.git.ref_names import snapshot_refs
from pytest_gump.system.worktrees.pool import is_lived_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.resume.history import History, HistoryAttempt
from pytest_gump.order import Made

KILLED: Final = "the session was killed while it went on"
DYING_S: Final = 10.0
"""How long what the killed session had started may take to end; its supervisor sees to that."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger of a killed session does not tell."""

    lost: Sequence[tuple[HistoryAttempt, AttemptResult]] = ()
    """Attempts that were in flight, with what is known of them."""
    unbooked: Sequence[tuple[Made, AttemptResult]] = ()
    """Results of attempts of which the ledger knows nothing: its end is lost. The oldest first."""


def is_of_killed(event: Event) -> bool:
    """Whether it was booked by a later session than the one in which the attempt was made."""
    return bool(event["event"] == "attempt_finished" and event["result"].get("reason") == KILLED)


def look_around(past: History, tools: Tools, *, run_id: str, base: str, folder: RunFolder) -> Found:
    """Find out what can be told of such attempts: from the commits that they left, and from their files.

    Waits for what the killed session had started.
    """
    in_flight = [one for one in past.open if one.finished is None]
    _await_end(in_flight, tools)
    snapshots = {one.result.snapshot for one in past.attempts if one.result is not None}
    refs = {
        name: commit for name, commit in tools.repository.refs(snapshot_refs(run_id)).items() if commit not in snapshots
    }
    lost = [
        (one, _result(one, tools, _order(one, run_id, base), refs.get(_ref(run_id, one)), folder)) for one in in_flight
    ]
    known = {(str(one.path), one.attempt) for one in past.attempts}
    results = [*_of_files(tools.scratch, folder), *(stored_result(tools.repository, one) for one in refs.values())]
    unbooked = {
        (one.step, one.attempt): (one.made, one)
        for one in reversed(results)  # those of files know their files
        if one is not None and one.made is not None
        if _can_be_booked(one, one.made) and (one.step, one.attempt) not in known
    }
    return Found(lost, sorted(unbooked.values(), key=lambda one: one[1].timings.started))


def _can_be_booked(result: AttemptResult, made: Made) -> bool:
    """Whether the ledger can tell of it: anybody may have put the file there."""
    who = {"step": result.step, "attempt": result.attempt, "agent": result.agent}
    return is_event({"event": "attempt_started", "at": 0.0, "number": 1, **who, **asdict(made)})


def _ref(run_id: str, one: HistoryAttempt) -> str:
    return snapshot_ref(run_id, one.started["step"], one.attempt)


def _of_files(scratch: Path, folder: RunFolder) -> Iterator[AttemptResult]:
    """The results that attempts left in their folders."""
    for path in sorted([*folder.attempts.glob("*/result.json"), *scratch.glob("*/*/result.json")]):
        result = _read(path)
        if result is not None:
            yield replace(result, scratch=str(path.parent))


def _read(path: Path) -> AttemptResult | None:
    try:
        return from_wire(AttemptResult, json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None  # not written yet, or cut off like the ledger


def _await_end(in_flight: Sequence[HistoryAttempt], tools: Tools) -> None:
    slots = {str(one.started.get("slot") or "") for one in in_flight} - {""}
    deadline = time.monotonic() + DYING_S
    while time.monotonic() < deadline and any(is_lived_in(tools.slots.slot(name).path) for name in slots):
        time.sleep(0.1)


def _order(one: HistoryAttempt, run_id: str, base: str) -> Order:
    """As much of the attempt's order as the ledger tells."""
    started = one.started
    return Order(
        run_id=run_id,
        step=started["step"],
        attempt=one.attempt,
        mode=started["mode"],
        agent=started["agent"],
        base=started["base"],
        step_base=started["step_base"],
        run_base=base,
        slot=str(started.get("slot") or "w1"),
    )


def _result(one: HistoryAttempt, tools: Tools, order: Order, commit: str | None, folder: RunFolder) -> AttemptResult:
    scratch = _files(one, tools, folder)
    stored = None if commit is None else stored_result(tools.repository, commit)
    stored = stored or (None if scratch is None else _read(scratch / "result.json"))
    if stored is not None and (stored.step, stored.attempt) != (order.step, order.attempt):
        stored = None  # somebody else's
    if stored is not None and stored.outcome is not Outcome.CRASHED:  # it had come to its end
        return replace(stored, scratch=None if scratch is None else str(scratch))
    started = float(one.started["at"])
    result = stored or AttemptResult.not_made(order, Outcome.CRASHED, KILLED, started=started, usage=Usage())
    result = replace(result, reason=KILLED)
    return result if scratch is None else recover(order, tools, result, scratch, started, ended=_last_sign(scratch))


def _last_sign(scratch: Path) -> float:
    """When the attempt last wrote anything: long before now, maybe."""
    return max(path.lstat().st_mtime for path in (scratch, *scratch.iterdir()))


def _files(one: HistoryAttempt, tools: Tools, folder: RunFolder) -> Path | None:
    """The attempt's files: still in the scratch folder, or moved already."""
    name = f"{one.path.folder[:FOLDER_CHARS]}-a{one.attempt}"
    pattern = f"{glob.escape(str(tools.scratch))}/*/{glob.escape(name)}-*"
    found = sorted(map(Path, glob.glob(pattern)), key=lambda path: path.stat().st_mtime)  # noqa: PTH207 - escaped
    moved = folder.attempts / f"{one.number:04d}-{one.path.folder}-a{one.attempt}"
    return found[-1] if found else moved if moved.is_dir() else None
