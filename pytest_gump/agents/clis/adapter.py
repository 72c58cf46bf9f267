"""What all adapters have in common: a name, a model and the user's own arguments become a command."""

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
    from pytest_gump.agents.streams.json_reader import JsonReader
    from pytest_gump.agents.usage import Provenance

_PREFIX: Final = "env:"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class CliAgent:
    """One agent name bound to a model. A subclass says what is particular to its CLI."""

    name: str
    model: str | None = None
    """None: the CLI's own choice."""
    arguments: tuple[str, ...] = ()
    """Further arguments for the command line: the user's own, wider grant, for steps that change files."""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The user's own variables for this agent."""
    env_names: tuple[str, ...] = ()
    """Names of the user's own that are passed on to this agent."""

    cli: ClassVar[str]
    program: ClassVar[Program]
    stream: ClassVar[str]
    """The reader of the CLI's stream, as `module:class`: it is imported when there is a stream to read."""
    models: ClassVar[Mapping[str, str | None]]
    """Short names, and what the option for the model gets; None leaves it to the CLI's own setting."""
    model_name: ClassVar[re.Pattern[str]]
    """Names that pass a model id through, as the group `model`.

    It asks for a digit, as version numbers have one: a slip of the pen in a listed name is no model.
    """
    reports_cost: ClassVar[bool] = False
    forks: ClassVar[Forks] = "anywhere"
    grants: ClassVar[Grants] = Grants()
    """What a step that only reads does not get of the user's arguments."""
    environment: ClassVar[Mapping[str, str]] = {}
    environment_names: ClassVar[tuple[str, ...]] = ()
    """Names passed on from the user's environment if they are set there."""

    @classmethod
    def configured(cls, name: str, model: str | None, arguments: Sequence[str]) -> Self:
        """Make an agent; arguments that begin with `env:` go to its environment, the others to its command line.

        Raises:
            AgentError: what follows `env:` is not the name of a variable.
        """
        env: dict[str, str] = {}
        env_names: list[str] = []
        for argument in (argument for argument in arguments if argument.startswith(_PREFIX)):
            variable, equals, value = argument.removeprefix(_PREFIX).partition("=")
            if not _VARIABLE.fullmatch(variable):
                hint = "write env:NAME=VALUE or env:NAME"
                raise AgentError(f"agent {name!r}: {argument!r} names no variable", hint=hint)
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
        """The name whose price applies to what the agent uses; None where no price does."""
        return prices.priced_as(self.model, self.cli)

    @property
    def why_unknown(self) -> str:
        """Why the cost is unknown, and which name in `gump_prices` would set it."""
        if not self.model:
            return f"its CLI chooses the model: name one, or give {self.cli!r} a price in gump_prices"
        return f"the price table has no price for {self.model!r}: give it one in gump_prices"

    def missing(self) -> str | None:
        return self.program.missing()

    def command(self, task: Task) -> Command:
        return Command(
            (self.program.name, *self._argv(task)),
            stdin=task.prompt.encode("utf-8", "replace"),
            env={**self._environment(task), **self.env},
            env_names=(*self._environment_names(), *self.env_names),
        )

    @classmethod
    def reads(cls, task: Task, model: str | None = None) -> JsonReader:
        reader: JsonReader = pkgutil.resolve_name(cls.stream)(task, model)
        return reader

    def reader(self, task: Task) -> StreamReader:
        return self.reads(task, self.model)

    def _argv(self, task: Task) -> Iterable[str]:
        """The command line after the name of the program."""
        raise NotImplementedError

    def _environment(self, _task: Task) -> Mapping[str, str]:
        return self.environment

    def _environment_names(self) -> Iterable[str]:
        return self.environment_names

    def _granted(self, task: Task) -> tuple[str, ...]:
        """The user's own arguments, as far as the step may have them."""
        return self.grants.removed_from(self.arguments) if task.read_only else self.arguments
