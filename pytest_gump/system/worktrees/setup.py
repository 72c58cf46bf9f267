"""The record of a slot's setup. It is stored next to the slot and read only once, when the slot is leased."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.system.worktrees import setup_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.worktrees.root import SlotRoot


class SlotSetup:
    def __init__(self, root: SlotRoot, name: str) -> None:
        self._root = root
        self._files = f"{name}.ignored", f"{name}.setup", f"{name}.left"
        self._known: list[bytes | None] | None = None
        """Contents of the three files. They are read only once, because an agent can change them later."""
        self._stamps: setup_files.Stamps | None = None

    def _content(self, number: int) -> bytes | None:
        if self._known is None:
            self._known = [self._root.directory.read(name) for name in self._files]
        return self._known[number]

    def _words(self, number: int) -> list[str]:
        content = self._content(number)
        return [] if content is None else [os.fsdecode(part) for part in content.split(b"\0")]

    @property
    def is_done(self) -> bool:
        return self._content(0) is not None

    @property
    def accepted(self) -> set[str]:
        """Ignored files and folders that setup created, and that stay."""
        return set(self._words(0))

    @property
    def commit(self) -> str | None:
        """The commit in the slot when setup ran; None or empty if it is unknown."""
        return next(iter(self._words(1)), None)

    @property
    def copied(self) -> tuple[str, ...]:
        """The accepted files that were copied from the user's checkout. No snapshot contains them."""
        return tuple(self._words(1)[1:])

    def remember(self, slot: Directory) -> None:
        """Record the current state of the accepted files."""
        self._stamps = setup_files.stamps(slot.access, self.accepted)
        if self._known is not None:
            self._known[2] = setup_files.to_bytes(self._stamps)
        self.write()

    def undo(self, slot: Directory) -> list[str]:
        """Remove files that were added to the folders of setup. Return the paths of setup that are missing or changed.

        If the original state is unknown, remove nothing and return all paths.
        """
        if self._stamps is None:
            self._stamps = setup_files.from_bytes(self._content(2) or b"")
        if not self._stamps:  # the original state is unknown
            return sorted(self.accepted - {""})
        now = setup_files.stamps(slot.access, self.accepted)
        for path in setup_files.added(self._stamps, now):
            slot.remove(path)
        return setup_files.changed(self._stamps, now)

    def remove(self, slot: Directory) -> None:
        """Remove the files that setup created, so that it runs again."""
        for path in self.accepted - {""}:
            slot.remove(path)
        self.forget()

    def accept(self, ignored: Iterable[str], *, commit: str | None = None, copied: Sequence[str] = ()) -> None:
        mark = b"\0".join(os.fsencode(text) for text in (commit or "", *copied))
        self._known = [b"\0".join(os.fsencode(path) for path in ignored), mark, None]
        self._stamps = None
        self.write()

    def write(self) -> None:
        """Store the record for the next process that uses the slot. Files that an agent changed are written again."""
        root = self._root.directory
        for name, content in zip(self._files, self._known or (), strict=False):
            if content is not None and root.read(name) != content:
                root.write(name, content)
            elif content is None:
                root.put_aside(name)

    def forget(self) -> None:
        self._known = [None] * len(self._files)
        self._stamps = None
        self.write()


def covering(paths: Iterable[str], folders: Iterable[str]) -> dict[str, str]:
    """Return the covered paths, each with the topmost of `folders` that is equal to it or contains it."""
    known = frozenset(folders)
    found = {}
    for path in paths:
        ends = [position for position, letter in enumerate(path) if letter == "/"]
        above = next((path[:end] for end in (*ends, len(path)) if path[:end] in known), None)
        if above is not None:
            found[path] = above
    return found
