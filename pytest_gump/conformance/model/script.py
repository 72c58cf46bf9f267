"""What the scripted model answers: plain data, the same for every CLI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARK: Final = "## Your task"
"""Begins every prompt of gump: a message without it is the CLI's own."""


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
    """Tokens of one answer, as they are served; a dialect leaves out what it cannot say."""

    input: int = 1000
    """Not from the cache."""
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
    """Requests that are answered with an error."""

    status: int
    times: int | None = None
    """None = all of them."""
    message: str = "the scripted model refuses"


@dataclass(frozen=True, slots=True)
class Scene:
    """The answers to one prompt, in order; which one comes next is read off the conversation in the request."""

    answers: tuple[Answer, ...]
    match: str = ""
    """Words in the prompt."""
    endless: bool = False
    """Begin again after the last answer; otherwise it is repeated without its actions."""

    def answer(self, number: int) -> Answer:
        """The answer with that number, from 0."""
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
        """The first scene that the prompt belongs to."""
        found = next((scene for scene in self.scenes if scene.match in prompt), None)
        return found or Scene((Answer("There is no scene for this prompt."),))


def script(*answers: Answer, endless: bool = False, fault: Fault | None = None) -> Script:
    """One scene for every prompt."""
    return Script((Scene(answers, endless=endless),), fault)
