"""Collects the mistakes of a workflow file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pytest_gump.errors import Problem, WorkflowError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PROBLEMS: Final = 500
"""Limits the work on a malicious file; further problems are dropped."""
MAX_SUGGESTIONS: Final = 100


Mistake: TypeAlias = tuple[str, str | None]
"""A message and a hint, without a position."""


class Position(NamedTuple):
    """A position in a file, 1-based. A tuple for speed: every value of a file has one."""

    line: int
    column: int


@dataclass(slots=True)
class Problems:
    """The mistakes found so far in one file, without duplicates."""

    path: str
    found: dict[Problem, None] = field(default_factory=dict)
    notes: dict[Problem, None] = field(default_factory=dict)
    """Notes about input that is valid but probably not intended."""
    _suggestions: int = 0

    @property
    def full(self) -> bool:
        return len(self.found) >= MAX_PROBLEMS

    def add(self, position: Position, message: str, hint: str | None = None, *, path: str | None = None) -> None:
        if not self.full:
            self.found[Problem(path or self.path, position.line, position.column, message, hint)] = None

    def include(self, problems: Iterable[Problem]) -> None:
        """Add the mistakes of another file."""
        for problem in problems:
            if not self.full:
                self.found[problem] = None

    def note(self, position: Position, message: str, hint: str | None = None) -> None:
        if len(self.notes) < MAX_PROBLEMS:
            self.notes[Problem(self.path, position.line, position.column, message, hint)] = None

    def suggest(self, word: str, known: Iterable[str], *, label: str = "known") -> str | None:
        """Return a hint for an unknown word: the nearest known word, otherwise all known words."""
        self._suggestions += 1
        known = list(known) if self._suggestions <= MAX_SUGGESTIONS else []
        if not known:
            return None
        return suggest(word, known, f"{label}: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}")

    def error(self) -> WorkflowError:
        return WorkflowError.from_problems(list(self.found))
