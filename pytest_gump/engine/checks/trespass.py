"""Detection of tool calls that write into the user's checkout.

A stream also shows calls that the CLI refused, so only a file that changed counts as written.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import ToolCall
from pytest_gump.engine.checks.bounds import Roots
from pytest_gump.text import listed

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.agents.base import Event

LEFT: Final = "these files stay in your checkout as the agent wrote them; restore or remove them"
_COARSE_NS: Final = 20_000_000
"""Tolerance: the kernel's file times lag behind its clock by up to a tick."""


class Trespass:
    """The calls of one attempt. Create the object before the agent starts."""

    def __init__(self, worktree: Path, checkout: Path) -> None:
        self._worktree = worktree
        self._roots = Roots(worktree, checkout)
        self._began_ns = time.time_ns() - _COARSE_NS
        self._named: dict[str, tuple[str, bool]] = {}
        """Path of the tool call -> real path, and True if the file existed at the time of the call."""
        self._written: str | None = None

    def feed(self, event: Event) -> None:
        path = event.path if isinstance(event, ToolCall) else None
        if path is None or path in self._named or "\0" in path:
            return
        if self._roots.is_in_checkout(path):
            real = os.path.realpath(self._worktree / path)
            self._named[path] = real, os.path.lexists(real)

    def written(self) -> str | None:
        """Return the path of the first call whose file has changed, or None. Once found, the path stays the same."""
        if self._written is None and self._named:
            self._written = next((path for path, named in self._named.items() if self._is_written(*named)), None)
        return self._written

    def notes(self) -> list[str]:
        """Return a note on the files that were written, or else on calls that changed nothing."""
        if not self._named:
            return []
        if self.written() is not None:
            written = [path for path, named in self._named.items() if path == self._written or self._is_written(*named)]
            return [f"{LEFT}: {listed(written)}"]
        return [f"tried to write into the user's checkout, but nothing changed there: {listed([*self._named])}"]

    def _is_written(self, path: str, was_there: bool) -> bool:  # noqa: FBT001 - one entry of `_named`
        try:
            now = os.lstat(path)
        except OSError:
            return was_there
        return not stat.S_ISDIR(now.st_mode) and (not was_there or now.st_ctime_ns >= self._began_ns)
