"""Git as the rest of gump sees it."""

from __future__ import annotations

from pytest_gump.engine.settings.kept_ignored import KEEP_IGNORED
from pytest_gump.system.git.changes import ChangedFile
from pytest_gump.system.git.merge import Merge
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.pool import SlotPool, is_leased
from pytest_gump.system.worktrees.slot import HANDOVER, Slot, Snapshot
from pytest_gump.system.worktrees.slots import Slots

__all__ = [
    "HANDOVER",
    "KEEP_IGNORED",
    "ChangedFile",
    "Merge",
    "Repository",
    "Slot",
    "SlotPool",
    "Slots",
    "Snapshot",
    "is_leased",
]
