"""The attempts of a run that may start or are running (in flight)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.nodes import judged_by
from pytest_gump.engine.schedule.view import plan_position

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.nodes import Leaf
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.workflow.path import StepPath


class OpenAttempts:
    def __init__(self) -> None:
        self._entries: dict[StepPath, tuple[Leaf, Ready]] = {}
        self._started: set[StepPath] = set()

    def __contains__(self, path: StepPath) -> bool:
        return path in self._entries

    def __getitem__(self, path: StepPath) -> tuple[Leaf, Ready]:
        return self._entries[path]

    @property
    def waiting(self) -> int:
        return len(self._entries) - len(self._started)

    @property
    def has_started(self) -> bool:
        return bool(self._started)

    def in_flight(self) -> frozenset[StepPath]:
        """Return the steps with an attempt in flight, or with a validator's."""
        leaves = (self._entries[path][0] for path in self._started)
        return frozenset(node.path for leaf in leaves for node in (leaf, judged_by(leaf)) if node is not None)

    def offered(self, most: int | None) -> list[Ready]:
        """Return up to `most` attempts that have not started, in plan order."""
        entries = [entry for path, entry in self._entries.items() if path not in self._started]
        entries.sort(key=lambda entry: plan_position(entry[0]))
        return [ready for _, ready in entries[:most]]

    def all(self) -> tuple[Ready, ...]:
        entries = sorted(self._entries.values(), key=lambda entry: plan_position(entry[0]))
        return tuple(ready for _, ready in entries)

    def add(self, leaf: Leaf, ready: Ready) -> None:
        self._entries[ready.path] = (leaf, ready)

    def start(self, path: StepPath) -> None:
        self._started.add(path)

    def drop(self, path: StepPath) -> None:
        """Remove an attempt that has ended or will not run, if it exists."""
        self._entries.pop(path, None)
        self._started.discard(path)

    def drop_waiting(self) -> None:
        """Remove all attempts that have not started."""
        self._entries = {path: entry for path, entry in self._entries.items() if path in self._started}

    def clear(self) -> None:
        self._entries.clear()
        self._started.clear()
