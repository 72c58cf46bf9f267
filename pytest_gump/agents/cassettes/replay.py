"""The replay agent: plays a cassette in place of any agent, with a child process and a stream like a real agent."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.agents.base import Command, Ending, Event, StreamReader, forks_of, has_ended, shell_of
from pytest_gump.agents.cassettes import cassette as cassettes
from pytest_gump.agents.cassettes import neutral, player
from pytest_gump.agents.family import FAMILIES
from pytest_gump.agents.streams import ndjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Agent, Forks, Task
    from pytest_gump.agents.cassettes.cassette import Cassette, Take
    from pytest_gump.agents.shell.permissions import Shell
    from pytest_gump.agents.usage import Provenance


@dataclass(frozen=True, slots=True)
class ReplayAgent:
    """Plays recordings under the name and the CLI of the agent that it replaces."""

    cassette: Cassette
    name: str
    cli: str = neutral.CLI
    lenient: bool = False
    """Accept a prompt that differs from the recorded one."""
    delay: float = 0.0
    """Factor for the recorded pauses; 0 plays without pauses."""
    cost: Provenance = "reported"
    live: Agent | None = None
    """The replaced agent. It reads recorded streams of its CLI, because its model gives the price."""

    @property
    def forks(self) -> Forks:
        return "anywhere" if self.live is None else forks_of(self.live)

    @property
    def shell(self) -> Shell | None:
        """The shell of the recorded CLI: the estimated usage depends on the length of the prompt."""
        family = FAMILIES.get(self.cli)
        if family is not None:
            return family.shell
        return None if self.live is None else shell_of(self.live)

    def missing(self) -> str | None:
        return None

    def command(self, task: Task) -> Command:
        found = self._take(task)
        program = (sys.executable, "-I", "-S", str(Path(player.__file__)))
        if isinstance(found, str):
            return Command((*program, "--refuse", found), stdin=task.prompt.encode("utf-8", "surrogateescape"))
        arguments = (str(self.cassette.folder(found)), str(task.worktree), str(self.delay))
        return Command((*program, *arguments), stdin=task.prompt.encode("utf-8", "surrogateescape"))

    def reader(self, task: Task) -> StreamReader:
        found = self._take(task)
        if isinstance(found, str):
            return _Refusal(neutral.NeutralReader(task, cli=self.cli), found)
        if found.resumed is False:
            task = dataclasses.replace(task, session=None)  # its usage does not include an earlier conversation
        if found.cli == neutral.CLI:
            return _Refusal(neutral.NeutralReader(task, cli=self.cli), None)
        if self.live is not None and self.live.cli == found.cli:
            return _Refusal(self.live.reader(task), None)
        return _Refusal(FAMILIES[found.cli].reads(task, found.model), None)

    def _take(self, task: Task) -> Take | str:
        """Return the recording to play, or a message that says what differs."""
        label = cassettes.label_of(task.step, task.item)
        takes = self.cassette.find(task.step, task.item, task.attempt)
        if not takes:
            return _no_attempt(self.cassette, task, label)
        mine = [take for take in takes if take.agent in ("", task.agent)]
        if not mine:
            recorded = " and ".join(sorted({take.agent for take in takes}))
            return f"cassette has attempt {task.attempt} of {label} by {recorded}, not by {task.agent}"
        take = max(mine, key=lambda take: take.agent != "")
        if take.cli not in {neutral.CLI, *FAMILIES} and (self.live is None or take.cli != self.live.cli):
            return f"attempt {task.attempt} of {label}: no adapter reads the recorded stream of {take.cli}"
        changed = None if self.lenient else _changed_prompt(self.cassette, take, task)
        return changed or take


def _no_attempt(cassette: Cassette, task: Task, label: str) -> str:
    attempts = cassette.attempts(task.step, task.item)
    if attempts:
        word = "attempts" if len(attempts) > 1 else "attempt"
        return f"cassette has no attempt {task.attempt} of {label}; it has {word} {', '.join(map(str, attempts))}"
    labels = ", ".join(cassette.labels()) or "nothing"
    return f"cassette has no recording of {label}; it has {labels}"


def prompt_text(task: Task) -> str:
    """Return the text that a recorder stores and a replay compares: the declared parts, without local paths."""
    return (task.prompt_key or task.prompt).replace(str(task.worktree), cassettes.WORKTREE)


def _changed_prompt(cassette: Cassette, take: Take, task: Task) -> str | None:
    text = prompt_text(task)
    if not take.prompt_sha256 or take.prompt_sha256 == cassettes.prompt_sha256(text):
        return None
    label = f"attempt {task.attempt} of {take.label}"
    recorded = cassette.prompt(take)
    if recorded is None or recorded == text:
        return f"{label}: prompt changed since it was recorded (--gump-replay-lenient plays it anyway)"
    return f"{label}: prompt changed since it was recorded: {_first_difference(recorded, text)}"


def _first_difference(recorded: str, now: str) -> str:
    for number, (old, new) in enumerate(zip_longest(recorded.splitlines(), now.splitlines()), 1):
        if old != new:
            return f"line {number} was {_quoted(old)}, is {_quoted(new)}"
    return "only line endings differ"


def _quoted(line: str | None) -> str:
    return "absent" if line is None else repr(line if len(line) <= 100 else f"{line[:97]}...")


class _Refusal:
    """Wraps the reader of the recorded CLI. If the player refuses to play, the ending has the player's message."""

    def __init__(self, inner: StreamReader, problem: str | None) -> None:
        self._inner = inner
        self._problem = problem

    def feed(self, line: bytes) -> Iterable[Event]:
        return self._inner.feed(line)

    @property
    def ended(self) -> bool:
        return has_ended(self._inner)

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        ending = self._inner.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)
        problem = self._problem
        if problem is None and exit_code == player.REFUSED and stderr.startswith("cassette: "):
            problem = ndjson.first_line(stderr)
        if problem is None:
            return ending
        return dataclasses.replace(ending, outcome="agent_error", reason=problem, limit=None, final=True)
