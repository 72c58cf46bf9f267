"""Errors that users can cause. The message says where and what, and the hint says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a user's file: location, message and hint."""

    path: str
    line: int
    """1-based."""
    column: int
    """1-based."""
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.path}:{self.line}:{self.column}: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class GumpError(Exception):
    """Base class of errors that are shown as text, never as a traceback."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n  hint: {self.hint}" if self.hint else message


def reason_of(error: BaseException) -> str:
    """Return the message of an error in one line, without errno and without its hint."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error.args[0]) if isinstance(error, GumpError) else str(error)
    return text or type(error).__name__


def nearest(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return at most `most` known words that are similar to a word, best first. Compare its first 200 characters."""
    from difflib import get_close_matches  # only after a mistake

    return get_close_matches(word[:200], list(known), n=most, cutoff=cutoff)


def suggest(word: str, known: Iterable[str], otherwise: str = "", *, most: int = 1) -> str:
    """Return `did you mean 'impl'?`, or `otherwise` if no known word is similar."""
    near = nearest(word, known, most=most)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else otherwise


class WorkflowError(GumpError):
    """A workflow file is invalid. `problems` lists all mistakes in file order."""

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> WorkflowError:
        ordered = sorted(problems, key=lambda problem: (problem.path, problem.line, problem.column))
        return cls("\n".join(map(str, ordered)), problems=ordered)


class ConfigError(GumpError):
    """An option, an ini value, `gump.toml` or the environment is invalid."""


class AgentError(GumpError):
    """An agent is unknown or its CLI is missing."""


class WorktreeError(GumpError):
    """An operation on a git repository or a worktree failed."""


class RunError(GumpError):
    """A stored run does not allow the requested operation."""
