"""What is known of attempts that were in flight when their session was killed."""

from __future__ import annotations

import glob
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.attempt import FOLDER_CHARS, stored_result
from pytest_gump.engine.leavings import snapshot_ref
from pytest_gump.engine.lost_attempt import recover
from pytest_gump.engine.order import AttemptResult, Order, Outcome, Timings
from pytest_gump.system.slot_pool import is_lived_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.folder import RunFolder
    from pytest_gump.engine.past import Past, PastAttempt
    from pytest_gump.engine.tools import Tools

KILLED: Final = "the session was killed while it went on"
DYING_S: Final = 10.0
"""How long what the killed session had started may take to end; its supervisor sees to that."""


def lost_results(
    past: Past, tools: Tools, *, run_id: str, base: str, folder: RunFolder
) -> list[tuple[PastAttempt, AttemptResult]]:
    """Find out what can be told of them: from the commits that they left, and from what their agents printed.

    Waits for what the killed session had started.
    """
    in_flight = [one for one in past.open if one.finished is None]
    if not in_flight:
        return []
    _await_end(in_flight, tools)
    refs = tools.repository.refs(f"refs/gump/{run_id}/attempts/")
    known = {one.result.snapshot for one in past.attempts if one.result is not None}
    return [
        (one, _result(one, tools, _order(one, run_id, base), _commit(one, refs, run_id, known), folder))
        for one in in_flight
    ]


def _await_end(in_flight: Sequence[PastAttempt], tools: Tools) -> None:
    slots = {str(one.started.get("slot") or "") for one in in_flight} - {""}
    deadline = time.monotonic() + DYING_S
    while time.monotonic() < deadline and any(is_lived_in(tools.slots.slot(name).path) for name in slots):
        time.sleep(0.1)


def _order(one: PastAttempt, run_id: str, base: str) -> Order:
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


def _commit(one: PastAttempt, refs: dict[str, str], run_id: str, known: set[str | None]) -> str | None:
    """The snapshot that the attempt left, told from one of an earlier attempt of the same number."""
    commit = refs.get(snapshot_ref(run_id, one.started["step"], one.attempt))
    return None if commit in known else commit


def _result(one: PastAttempt, tools: Tools, order: Order, commit: str | None, folder: RunFolder) -> AttemptResult:
    scratch = _files(one, tools, folder)
    stored = None if commit is None else stored_result(tools.repository, commit)
    if stored is not None and stored.outcome is not Outcome.CRASHED:  # it had come to its end
        return replace(stored, scratch=None if scratch is None else str(scratch))
    started = float(one.started["at"])
    result = stored or AttemptResult(
        step=order.step,
        attempt=order.attempt,
        outcome=Outcome.CRASHED,
        reason=KILLED,
        agent=order.agent,
        timings=Timings(started=started, total_s=0.0),
    )
    result = replace(result, reason=KILLED)
    return result if scratch is None else recover(order, tools, result, scratch, started)


def _files(one: PastAttempt, tools: Tools, folder: RunFolder) -> Path | None:
    """The attempt's files: still in the scratch folder, or moved already."""
    name = f"{one.path.folder[:FOLDER_CHARS]}-a{one.attempt}"
    pattern = f"{glob.escape(str(tools.scratch))}/*/{glob.escape(name)}-*"
    found = sorted(map(Path, glob.glob(pattern)), key=lambda path: path.stat().st_mtime)  # noqa: PTH207 - escaped
    moved = folder.attempts / f"{one.number:04d}-{one.path.folder}-a{one.attempt}"
    return found[-1] if found else moved if moved.is_dir() else None
