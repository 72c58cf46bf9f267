"""What an agent adapter is: a command line, and a reader of the stream that the CLI prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from pytest_gump.agents.usage import Provenance, Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# -- events: what happened, read off the stream while it runs ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    session_id: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """A new answer of the model began; `number` counts from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`path` is set for a tool that writes a file, `command` for one that runs a shell."""

    tool: str
    path: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """The total so far of this attempt, never a delta."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Note:
    """Trouble that the CLI deals with by itself (an API retry), or a remark about the stream."""

    text: str


Event = Started | Turn | Text | ToolCall | ToolResult | UsageSeen | Note


# -- the task given to an agent, the command it becomes, the end it comes to ----------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRef:
    """A conversation that may be resumed: only by `cli`, only in `slot`."""

    id: str
    cli: str
    slot: str
    cost_usd: float | None = None
    """Running total that the CLI had reported for the session; resumed sessions report cumulative cost."""
    tokens: Tokens = Tokens()


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt as the adapter sees it."""

    step: str
    """`build::impl[item-2]`."""
    item: str | None
    """Slug of the plan item, for the replay agent's index."""
    attempt: int
    agent: str
    prompt: str
    worktree: Path
    mode: Literal["diff", "plan", "artifact", "review"]
    session: SessionRef | None = None
    fork: bool = False
    """Start with a copy of `session`, which stays as it is, instead of continuing it."""
    max_turns: int | None = None
    max_budget: float | None = None
    allowed_commands: tuple[str, ...] = ()
    """Shell commands that the agent may run without being asked."""
    prompt_key: str = ""
    """What a cassette compares instead of the prompt: its declared parts, without those that tell what failed."""

    @property
    def read_only(self) -> bool:
        return self.mode != "diff"


@dataclass(frozen=True, slots=True)
class Command:
    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the allow-listed environment."""
    env_names: tuple[str, ...] = ()
    """Names passed on from the user's environment if they are set there, secrets included."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the CLI ended, judged by exit status, final event and error flags together."""

    outcome: Literal["ok", "agent_error", "quota"]
    reason: str
    """One line in the CLI's own words; empty when ok."""
    message: str
    """The final answer's text."""
    usage: Usage
    session: SessionRef | None
    model: str | None = None
    notes: tuple[str, ...] = ()
    final: bool = False
    """Another attempt would end the same way, whoever makes it: none is made."""
    limit: Literal["max_turns", "max_budget"] | None = None
    """The CLI's own limit that ended it; the outcome is `agent_error` then, which the engine books as the guard."""
    lost_session: bool = False
    """The CLI says that it does not know the session which it was to resume, and has done nothing."""
    resets_at: float | None = None
    """Of a `quota`: when the limit is over, in seconds since the epoch, as far as the CLI says."""


class StreamReader(Protocol):
    """Reads the stdout of one attempt. Stateful; one per attempt."""

    def feed(self, line: bytes) -> Iterable[Event]:
        """Turn one line, without its newline, into events; unknown or broken lines give a Note or nothing."""

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        """Judge the end. `exit_code` is None or negative when a signal ended it, `stopped` when we did."""


def has_ended(reader: StreamReader) -> bool:
    """True if the reader has an attribute `ended` that is true: the final event came."""
    return getattr(reader, "ended", False) is True


Forks = Literal["never", "in its worktree", "anywhere"]
"""Where an agent can begin with a copy of a session: nowhere, only where the session was held, in every worktree."""


@runtime_checkable
class Agent(Protocol):
    """An adapter bound to one agent name (`claude-opus`). Built by the registry; holds no state of an attempt."""

    @property
    def name(self) -> str: ...

    @property
    def cli(self) -> str:
        """The program family; sessions pass only between agents of one family."""

    @property
    def cost(self) -> Provenance:
        """Where the cost of an attempt that ends by itself comes from."""

    def missing(self) -> str | None:
        """Why the agent cannot start here (its CLI is not on PATH), with what to do; None when it can."""

    def command(self, task: Task) -> Command: ...

    def reader(self, task: Task) -> StreamReader: ...


def forks_of(agent: Agent) -> Forks:
    """What an adapter says with an attribute `forks`; one that says nothing would resume the session itself."""
    forks: Forks = getattr(agent, "forks", "never")
    return forks
