"""The files in which an agent leaves a plan, a verdict, an artifact or a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.system.worktrees.slot import HANDOVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.order import Mode

HANDOVER_FILES: Final[Mapping[Mode, str]] = {"plan": "plan.json", "artifact": "artifact.txt", "review": "review.json"}
HANDOVER_FOLDER: Final = HANDOVER
NO_CHANGE_FILE: Final = "no_change.txt"
"""File in the hand-over folder: why a step with `output: diff` changed no file."""
