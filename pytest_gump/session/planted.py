"""Refuses to start with pytest configuration that appeared in the checkout during the last run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.engine.record.run_folder import run_folders
from pytest_gump.system.environment import checkout_around
from pytest_gump.system.git.checkout_watch import PYTEST_FILES
from pytest_gump.text import listed

if TYPE_CHECKING:
    from pathlib import Path

_MOST_READ: Final = 1 << 18
"""Bytes that are read from the end of a ledger. Its last event is much shorter."""


def refuse_planted(folder: Path) -> None:
    """Refuse to start if pytest would execute a file that appeared or changed during the last run.

    Committing, deleting or touching the file accepts it.

    Raises:
        UsageError: Git does not track such a file, and it is unchanged since the end of that run.
    """
    root = checkout_around(folder)
    newest = None if root is None else next(run_folders(root), None)
    finished = {} if newest is None else _last_finished(newest.ledger)
    names = [str(text).removesuffix(" (new)") for text in finished.get("checkout_changed", ())]
    names = [name for name in names if name.rpartition("/")[2] in PYTEST_FILES]
    if root is None or newest is None or not names:
        return
    from pytest_gump.system.git.checkout import unknown_to_git
    from pytest_gump.system.git.repository import Repository

    untouched = [name for name in names if _is_untouched(root / name, float(finished["at"]))]
    if found := unknown_to_git(Repository.open(root), untouched):
        raise pytest.UsageError(
            f"untracked pytest configuration appeared in your checkout during run {newest.run_id}: "
            f"{listed(found)}\n  hint: inspect it; then commit it, delete it, or touch it to accept it"
        )


def _last_finished(ledger: Path) -> dict[str, Any]:
    """Return the last `run_finished` event of a ledger; empty if it cannot be read."""
    try:
        with ledger.open("rb") as file:
            file.seek(max(0, ledger.stat().st_size - _MOST_READ))
            lines = file.read().splitlines()
        events = (json.loads(line) for line in reversed(lines) if b'"run_finished"' in line)
        last = next((event for event in events if isinstance(event, dict) and event.get("event") == "run_finished"), {})
        return last if isinstance(last.get("checkout_changed"), list) and isinstance(last["at"], float | int) else {}
    except (OSError, ValueError, KeyError):
        return {}


def _is_untouched(path: Path, since: float) -> bool:
    try:
        return path.lstat().st_ctime <= since
    except OSError:
        return False
