"""The answers of the scripted model: plain data, the same for every CLI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARK: Final = "## Your task"
"""Every prompt of gump contains it; a message without it comes from the CLI itself."""


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    """Relative to the worktree, or absolute."""
    content: str


@dataclass(frozen=True, slots=True)
class Shell:
    command: str


Action = Write | Shell


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of one answer that the server reports; an API may have fewer counters."""

    input: int = 1000
    """Without cached tokens."""
    cache_read: int = 500
    cache_write: int = 200
    output: int = 50
    """Reasoning included."""
    reasoning: int = 10


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    actions: tuple[Action, ...] = ()
    spent: Spent = Spent()
    delay_s: float = 0.0
    cut: bool = False
    """The connection is dropped in the middle of the text."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error in place of answers."""

    status: int
    times: int | None = None
    """Number of requests that get the error; None for all."""
    message: str = "the scripted model refuses"
    retry_after_s: int | None = None
    """Value of the header `Retry-After`; None sends no header."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The answers to one prompt, in order. The number of answers in a request determines the next one."""

    answers: tuple[Answer, ...]
    match: str = ""
    """Text that the prompt must contain."""
    endless: bool = False
    """Start again after the last answer. Otherwise, further requests get an answer without actions."""

    def answer(self, number: int) -> Answer:
        """Return the answer with this number, counted from 0."""
        if number < len(self.answers):
            return self.answers[number]
        if self.endless:
            return self.answers[number % len(self.answers)]
        return Answer("There is nothing left to do.")


@dataclass(frozen=True, slots=True)
class Script:
    scenes: tuple[Scene, ...]
    fault: Fault | None = None

    def scene(self, prompt: str) -> Scene:
        """Return the first scene that matches the prompt."""
        found = next((scene for scene in self.scenes if scene.match in prompt), None)
        return found or Scene((Answer("There is no scene for this prompt."),))


def script(*answers: Answer, endless: bool = False, fault: Fault | None = None) -> Script:
    """Return a script with one scene for all prompts."""
    return Script((Scene(answers, endless=endless),), fault)
