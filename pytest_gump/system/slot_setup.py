"""What is known of how a slot was set up: kept beside it, where no agent looks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.system import files, setup_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class SlotSetup:
    def __init__(self, root: Path, name: str) -> None:
        self._ignored = root / f"{name}.ignored"
        self._mark = root / f"{name}.setup"
        self._left = root / f"{name}.left"
        self._known: setup_files.Stamps | None = None

    @property
    def places(self) -> tuple[Path, ...]:
        return self._ignored, self._mark, self._left

    @property
    def is_done(self) -> bool:
        return self._ignored.exists()

    @property
    def accepted(self) -> set[str]:
        """Ignored files and folders that came from setup, and stay."""
        return set(_read(self._ignored))

    @property
    def commit(self) -> str | None:
        """What the slot held when it was set up."""
        return next(iter(_read(self._mark)), None)

    @property
    def copied(self) -> tuple[str, ...]:
        """Of the accepted ones, those that came from the user's checkout: they are in no snapshot, whatever happens."""
        return tuple(_read(self._mark)[1:])

    def remember(self, slot: Path) -> None:
        """Take down what the accepted files are."""
        self._known = setup_files.stamps(str(slot), self.accepted)
        self._left.write_bytes(setup_files.to_bytes(self._known))

    def undo(self, slot: Path) -> list[str]:
        """Remove what came since to the folders that setup left; gives what of them is gone or another one."""
        if self._known is None:
            self._known = setup_files.from_bytes(self._left.read_bytes()) if self._left.is_file() else {}
        now = setup_files.stamps(str(slot), self.accepted)
        for path in setup_files.added(self._known, now):
            files.remove(slot / path)
        return setup_files.changed(self._known, now)

    def remove(self, slot: Path) -> None:
        """Remove what setup left, so that it has to run again."""
        for path in self.accepted:
            files.remove(slot / path)
        self.forget()

    def accept(self, ignored: Iterable[str], *, commit: str | None = None, copied: Sequence[str] = ()) -> None:
        self._mark.write_bytes(b"\0".join(os.fsencode(text) for text in (commit or "", *copied)))
        self._ignored.write_bytes(b"\0".join(os.fsencode(path) for path in ignored))

    def forget(self) -> None:
        self._known = None
        for place in self.places:
            files.remove(place)


def _read(path: Path) -> list[str]:
    try:
        return [os.fsdecode(part) for part in path.read_bytes().split(b"\0")]
    except FileNotFoundError:
        return []


def covering(paths: Iterable[str], folders: Iterable[str]) -> dict[str, str]:
    """Give for each path that one of `folders` is, or lies above, which one."""
    known = frozenset(folders)
    found = {}
    for path in paths:
        ends = [position for position, letter in enumerate(path) if letter == "/"]
        above = next((path[:end] for end in (*ends, len(path)) if path[:end] in known), None)
        if above is not None:
            found[path] = above
    return found
