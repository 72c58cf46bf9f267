"""The errors that users can cause, each with a place, a fact and a way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a user's file: where it is, what it is, what to do about it."""

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
    """Base of the errors that are shown as text, never as a traceback."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n  hint: {self.hint}" if self.hint else message


def reason_of(error: BaseException) -> str:
    """What an error says, in one line: without the number of the system's errors, and with no path twice."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error.args[0]) if isinstance(error, GumpError) else str(error)
    return text or type(error).__name__


def nearest(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known words that a mistyped one resembles, best first; at most 200 characters of it are compared."""
    from difflib import get_close_matches  # only after a mistake

    return get_close_matches(word[:200], list(known), n=most, cutoff=cutoff)


def suggest(word: str, known: Iterable[str], otherwise: str = "", *, most: int = 1) -> str:
    """`did you mean 'impl'?`, or another hint if no known word resembles this one."""
    near = nearest(word, known, most=most)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else otherwise


class WorkflowError(GumpError):
    """A workflow file is wrong; `problems` holds every mistake found in it, in file order."""

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> WorkflowError:
        ordered = sorted(problems, key=lambda problem: (problem.path, problem.line, problem.column))
        return cls("\n".join(map(str, ordered)), problems=ordered)


class ConfigError(GumpError):
    """An option, ini value, `gump.toml` or the environment cannot be used as it is."""


class AgentError(GumpError):
    """An agent is unknown or its CLI is missing."""


class WorktreeError(GumpError):
    """Git, or the files below a worktree, refuse what a run needs."""


class RunError(GumpError):
    """A finished or recorded run cannot be used for what was asked."""
