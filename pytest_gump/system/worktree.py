"""Git as the rest of gump sees it.

Public:
    Repository.open(path); .root .git_dir .resolve .head .branch .dirty .capture_dirty .read_file .list_files
        .update_ref .delete_ref .refs .commit_tree .tree_of .message_of .changed .diff .diff_text .merge_preview
        .apply_to_checkout
    Slots(repository, root, keep=KEEP_IGNORED); .slot(name); Slots.default_root(repository, override)
    SlotPool(slots); .lease() .close()
    Slot .path .name .environment .prepare .snapshot .remove_ignored .restore .accept_ignored .discard
        .lacks_setup .forget .read .read_handover .empty_handover .take_handover
"""

from __future__ import annotations

from pytest_gump.system.git_changes import FileChange
from pytest_gump.system.git_merge import Merge
from pytest_gump.system.git_repository import Repository
from pytest_gump.system.git_slot import HANDOVER, KEEP_IGNORED, Slot, Slots, Snapshot
from pytest_gump.system.slot_pool import SlotPool

__all__ = [
    "HANDOVER",
    "KEEP_IGNORED",
    "FileChange",
    "Merge",
    "Repository",
    "Slot",
    "SlotPool",
    "Slots",
    "Snapshot",
]
