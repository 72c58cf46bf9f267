"""Base class of the adapters: turns a name, a model and the user's own arguments into a command."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Self

from pytest_gump.agents import prices
from pytest_gump.agents.base import Command
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_gump.agents.base import Forks, StreamReader, Task
    from pytest_gump.agents.program import Program
    from pytest_gump.agents.shell.permissions import Shell
    from pytest_gump.agents.streams.json_reader import JsonReader
    from pytest_gump.agents.usage import Provenance

_PREFIX: Final = "env:"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class CliAgent:
    """One agent name bound to a model. A subclass defines what is specific to its CLI."""

    name: str
    model: str | None = None
    """None if the CLI chooses the model."""
    arguments: tuple[str, ...] = ()
    """The user's own arguments for the command line. They may grant more, but only in steps that change files."""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The user's own variables for this agent."""
    env_names: tuple[str, ...] = ()
    """Variables of the user's environment that are passed on to this agent."""

    cli: ClassVar[str]
    program: ClassVar[Program]
    stream: ClassVar[str]
    """The reader of the CLI's stream, as `module:class`; it is imported when a stream is read."""
    models: ClassVar[Mapping[str, str | None]]
    """Short names, and the value of the CLI's model option; None leaves the choice to the CLI's settings."""
    model_name: ClassVar[re.Pattern[str]]
    """Names that contain a model id, as the group `model`.

    A digit is required, as in version numbers, so that a typo in a short name is not used as a model id.
    """
    reports_cost: ClassVar[bool] = False
    forks: ClassVar[Forks] = "anywhere"
    grants: ClassVar[Grants] = Grants()
    """Arguments of the user that a read-only step does not get."""
    shell: ClassVar[Shell]
    environment: ClassVar[Mapping[str, str]] = {}
    environment_names: ClassVar[tuple[str, ...]] = ()
    """Variables passed on from the user's environment if they are set."""

    @classmethod
    def configured(cls, name: str, model: str | None, arguments: Sequence[str]) -> Self:
        """Return an agent. Arguments that start with `env:` go to its environment, the others to its command line.

        Raises:
            AgentError: The text after `env:` is not the name of a variable.
        """
        env: dict[str, str] = {}
        env_names: list[str] = []
        for argument in (argument for argument in arguments if argument.startswith(_PREFIX)):
            variable, equals, value = argument.removeprefix(_PREFIX).partition("=")
            if not _VARIABLE.fullmatch(variable):
                hint = "write env:NAME=VALUE or env:NAME"
                raise AgentError(f"agent {name!r}: {argument!r} is not an environment variable", hint=hint)
            if equals:
                env[variable] = value
            else:
                env_names.append(variable)
        others = tuple(argument for argument in arguments if not argument.startswith(_PREFIX))
        return cls(name, model, others, env, tuple(env_names))

    @property
    def cost(self) -> Provenance:
        return "reported" if self.reports_cost else prices.provenance(self.priced_as)

    @property
    def priced_as(self) -> str | None:
        """The name whose price applies to this agent; None if there is none."""
        return prices.priced_as(self.model, self.cli)

    @property
    def why_unpriced(self) -> str:
        """Why the price table has no price for this agent."""
        return "not in the price table" if self.model else "the CLI chooses the model"

    @property
    def why_unknown(self) -> str:
        """Why the cost is unknown, and which name in `gump_prices` would set it."""
        if not self.model:
            return f"its CLI chooses the model: name one, or set a price for {self.cli!r} in gump_prices"
        return f"the price table has no price for {self.model!r}: set one in gump_prices"

    def missing(self) -> str | None:
        return self.program.missing()

    def command(self, task: Task) -> Command:
        return Command(
            (self.program.name, *self._argv(task)),
            stdin=task.prompt.encode("utf-8", "replace"),
            env={**self._environment(task), **self.env},
            env_names=(*self._environment_names(), *self.env_names),
            files=self._files(task),
        )

    @classmethod
    def reads(cls, task: Task, model: str | None = None) -> JsonReader:
        reader: JsonReader = pkgutil.resolve_name(cls.stream)(task, model)
        return reader

    def reader(self, task: Task) -> StreamReader:
        return self.reads(task, self.model)

    def _argv(self, task: Task) -> Iterable[str]:
        """Return the command line after the name of the program."""
        raise NotImplementedError

    def _environment(self, _task: Task) -> Mapping[str, str]:
        return self.environment

    def _environment_names(self) -> Iterable[str]:
        return self.environment_names

    def _files(self, _task: Task) -> Mapping[str, str]:
        """Return the files that the command line names, by their name in the task's folder."""
        return {}

    def _granted(self, task: Task) -> tuple[str, ...]:
        """Return the user's own arguments, in a read-only step without those that grant more."""
        return self.grants.removed_from(self.arguments) if task.read_only else self.arguments
