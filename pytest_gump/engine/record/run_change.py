"""The change of a whole run: the sums in its last event and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from pytest_gump.system.git.repository import Repository


def run_change(repository: Repository, base: str, head: str) -> dict[str, Any]:
    """Fields of `run_finished`; without sums if git can no longer compare the commits."""
    try:
        changed = () if base == head else repository.changed(base, head)
    except WorktreeError:
        return {"unchanged": False}
    added, removed = (sum(getattr(one, name) or 0 for one in changed) for name in ("added", "removed"))
    sums = {"files_changed": len(changed), "lines_added": added, "lines_removed": removed}
    return {"unchanged": not changed, "change": sums}
