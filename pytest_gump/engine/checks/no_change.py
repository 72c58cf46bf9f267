"""Reasons and notes for a step that should change files and did not. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.kept_ignored import TOOL_CACHES
from pytest_gump.system.worktrees.folder import HANDOVER
from pytest_gump.text import listed, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.agents.base import Ending

NO_CHANGE_FILE: Final = "no_change.txt"
"""File in the output folder with the agent's reason."""
REASON_CHARS: Final = 300
MESSAGE_CHARS: Final = 200
_CACHES: Final = frozenset({"__pycache__", ".hypothesis", ".coverage", *TOOL_CACHES})


def read_reason(read: Callable[[str], bytes | None]) -> tuple[str, tuple[str, ...]]:
    """Return the reason as one bounded line (may be empty), and the problems with its file.

    `read` returns the content of a file in the output folder, or None if it is missing. It raises WorktreeError if the
    file is not a plain file or is too large.
    """
    try:
        content = read(NO_CHANGE_FILE)
    except WorktreeError as error:
        return "", (f"{NO_CHANGE_FILE} was not read: {error.args[0]}",)
    return one_line((content or b"").decode("utf-8", "replace"), REASON_CHARS), ()


def describe_answer(ending: Ending | None) -> tuple[str, ...]:
    """Return a note with the agent's answer, which may be a question or a refusal."""
    answer = "" if ending is None else one_line(ending.message, MESSAGE_CHARS)
    return (f"the agent's answer: {answer}",) if answer else ()


def without_caches(ignored: Sequence[str]) -> list[str]:
    """Return the ignored files except caches and files in them, which gates and agents always leave behind."""
    return [path for path in ignored if _CACHES.isdisjoint(path.split("/"))]


def describe_no_change(ignored: Sequence[str]) -> str:
    made = without_caches(ignored)
    what = f"changed only ignored files: {listed(made)}" if made else "no file was changed"
    return f"{what}, and no reason was given in {HANDOVER}/{NO_CHANGE_FILE}"
