"""Recover the results of attempts that were running when their session was killed."""

from __future__ import annotations

import glob
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.agents.usage import Usage
from pytest_gump.engine.attempt.recovery import recover
from pytest_gump.engine.attempt.snapshots import stored_result
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.refs import snapshot_ref
from pytest_gump.order import AttemptResult, Order, Outcome, from_wire
from pytest_gump.system.git.ref_names import snapshot_refs
from pytest_gump.system.worktrees.pool import has_process_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.resume.history import History, HistoryAttempt

KILLED: Final = "the session was killed while the attempt was running"
DYING_S: Final = 10.0
"""Seconds to wait for the processes of the killed session, which its supervisor ends."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Results that are missing in the ledger of a killed session."""

    lost: Sequence[tuple[HistoryAttempt, AttemptResult]] = ()
    """Attempts that were running, with their recovered results."""
    unrecorded: Sequence[tuple[dict[str, Any], AttemptResult]] = ()
    """Results of attempts whose start is also missing in the ledger, each with the fields of `attempt_started`; oldest
    first."""


def is_recovered(event: Event) -> bool:
    """True for the end of a killed attempt that a later session recorded."""
    return bool(event["event"] == "attempt_finished" and event["result"].get("reason") == KILLED)


def recover_attempts(history: History, tools: Tools, *, base: str, folder: RunFolder) -> Recovered:
    """Recover results from the commits and the files that the attempts left.

    Waits up to `DYING_S` for the processes of the killed session.
    """
    run_id = folder.run_id
    in_flight = [attempt for attempt in history.open if attempt.finished is None]
    _await_end(in_flight, tools)
    snapshots = {attempt.result.snapshot for attempt in history.attempts if attempt.result is not None}
    found = tools.repository.refs(snapshot_refs(run_id)).items()
    refs = {name: commit for name, commit in found if commit not in snapshots}
    lost = []
    for attempt in in_flight:
        commit = refs.get(snapshot_ref(run_id, *attempt.key))
        lost.append((attempt, _result(attempt, tools, _order(attempt, run_id, base), commit, folder)))
    known = {attempt.key for attempt in history.attempts}
    of_refs = (stored_result(tools.repository, commit) for commit in refs.values())
    unrecorded = {}
    for result in reversed([*_of_files(tools.scratch, folder), *of_refs]):  # files take precedence: they name `scratch`
        if result is not None and result.made is not None and (result.step, result.attempt) not in known:
            started = result.made.started(result)
            if is_event({"event": "attempt_started", "at": 0.0, "number": 1, **started}):  # it may be forged
                unrecorded[result.step, result.attempt] = started, result
    return Recovered(lost, sorted(unrecorded.values(), key=lambda start: start[1].timings.started))


def _of_files(scratch: Path, folder: RunFolder) -> Iterator[AttemptResult]:
    """Yield the results that attempts left in their folders."""
    for path in sorted([*folder.attempts.glob("*/result.json"), *scratch.glob("*/*/result.json")]):
        result = _read(path)
        if result is not None:
            yield replace(result, scratch=str(path.parent))


def _read(path: Path) -> AttemptResult | None:
    try:
        return from_wire(AttemptResult, json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None  # missing or incomplete


def _await_end(in_flight: Sequence[HistoryAttempt], tools: Tools) -> None:
    events = [attempt.started for attempt in in_flight]
    slots = {str(event.get(name) or "") for event in events for name in ("slot", "side")} - {""}
    deadline = time.monotonic() + DYING_S
    while time.monotonic() < deadline and any(has_process_in(tools.slots.slot(name).path) for name in slots):
        time.sleep(0.1)


def _order(attempt: HistoryAttempt, run_id: str, base: str) -> Order:
    """Return the attempt's order, with the fields that the ledger holds."""
    started = attempt.started
    return Order(
        run_id=run_id,
        step=started["step"],
        attempt=attempt.attempt,
        mode=started["mode"],
        agent=started["agent"],
        base=started["base"],
        step_base=started["step_base"],
        run_base=base,
        slot=str(started.get("slot") or "w1"),
    )


def _result(
    attempt: HistoryAttempt, tools: Tools, order: Order, commit: str | None, folder: RunFolder
) -> AttemptResult:
    scratch = _files(attempt, tools, folder)
    stored = None if commit is None else stored_result(tools.repository, commit)
    stored = stored or (None if scratch is None else _read(scratch / "result.json"))
    if stored is not None and (stored.step, stored.attempt) != (order.step, order.attempt):
        stored = None  # belongs to another attempt
    if stored is not None and stored.outcome is not Outcome.CRASHED:  # the attempt had ended
        return replace(stored, scratch=None if scratch is None else str(scratch))
    started = float(attempt.started["at"])
    result = stored or AttemptResult.not_made(order, Outcome.CRASHED, KILLED, started=started, usage=Usage())
    result = replace(result, reason=KILLED)
    return result if scratch is None else recover(order, tools, result, scratch, started, ended=_last_sign(scratch))


def _last_sign(scratch: Path) -> float:
    """Return the time of the attempt's last write. The session may have been killed long ago."""
    return max(path.lstat().st_mtime for path in (scratch, *scratch.iterdir()))


def _files(attempt: HistoryAttempt, tools: Tools, folder: RunFolder) -> Path | None:
    """Return the folder with the attempt's files: in the scratch folder, or already moved to the run."""
    name = f"{attempt.path.folder}-a{attempt.attempt}"
    pattern = f"{glob.escape(str(tools.scratch))}/*/{glob.escape(name)}-*"
    found = sorted(map(Path, glob.glob(pattern)), key=lambda path: path.stat().st_mtime)  # noqa: PTH207 - escaped
    moved = folder.attempts / f"{attempt.number:04d}-{name}"
    return found[-1] if found else moved if moved.is_dir() else None
