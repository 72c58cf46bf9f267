"""An agent with extra arguments and environment variables."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import forks_of
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gump.agents.base import Agent, Command, Forks, Provenance, StreamReader, Task

_PREFIX: Final = "env:"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Configured:
    """An adapter whose program gets more variables than it asks for."""

    agent: Agent
    env: Mapping[str, str] = field(default_factory=dict)
    env_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.agent.name

    @property
    def cli(self) -> str:
        return self.agent.cli

    @property
    def cost(self) -> Provenance:
        return self.agent.cost

    @property
    def forks(self) -> Forks:
        return forks_of(self.agent)

    def missing(self) -> str | None:
        return self.agent.missing()

    def command(self, task: Task) -> Command:
        command = self.agent.command(task)
        names = (*command.env_names, *self.env_names)
        return dataclasses.replace(command, env={**command.env, **self.env}, env_names=names)

    def reader(self, task: Task) -> StreamReader:
        return self.agent.reader(task)


def configure(
    adapter: Callable[[str, str | None, tuple[str, ...]], Agent], name: str, model: str | None, words: Sequence[str]
) -> Agent:
    """Make an agent; words that begin with `env:` go to its environment, the others to its command line.

    Raises:
        AgentError: what follows `env:` is not the name of a variable.
    """
    env: dict[str, str] = {}
    env_names: list[str] = []
    for word in words:
        if not word.startswith(_PREFIX):
            continue
        variable, equals, value = word.removeprefix(_PREFIX).partition("=")
        if not _VARIABLE.fullmatch(variable):
            raise AgentError(f"agent {name!r}: {word!r} names no variable", hint="write env:NAME=VALUE or env:NAME")
        if equals:
            env[variable] = value
        else:
            env_names.append(variable)
    agent = adapter(name, model, tuple(word for word in words if not word.startswith(_PREFIX)))
    return Configured(agent, env, tuple(env_names)) if env or env_names else agent
