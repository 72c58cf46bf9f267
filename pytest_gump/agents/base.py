"""The interface of an agent adapter: a command line, and a reader for the output of the CLI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from pytest_gump.agents.usage import Provenance, Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_gump.agents.shell.permissions import Permissions, Shell

# -- events: read from the stream while the CLI runs ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    session_id: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """A new answer of the model; `number` counts from 1."""

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
    """Total usage of the attempt so far, not a delta."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Note:
    """A problem that the CLI handles by itself (an API retry), or a remark about the stream."""

    text: str


Event = Started | Turn | Text | ToolCall | ToolResult | UsageSeen | Note


# -- the task of an agent, its command and its ending ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRef:
    """A conversation of an agent. Only `cli` can resume it, and only in `slot`."""

    id: str
    cli: str
    slot: str
    cost_usd: float | None = None
    """Total that the CLI has reported for the conversation; in a resumed one, it includes earlier attempts."""
    tokens: Tokens = Tokens()


def _no_shell() -> Permissions:
    from pytest_gump.agents.shell.permissions import NO_SHELL  # loaded only where an agent runs

    return NO_SHELL


@dataclass(frozen=True, slots=True)
class Task:
    """The input of an adapter for one attempt."""

    step: str
    """`build::impl[item-2]`."""
    item: str | None
    """Slug of the plan item; the replay agent finds recordings by it."""
    attempt: int
    agent: str
    prompt: str
    worktree: Path
    mode: Literal["diff", "plan", "artifact", "review"]
    session: SessionRef | None = None
    fork: bool = False
    """Start with a copy of `session` instead of continuing it; `session` itself does not change."""
    max_turns: int | None = None
    max_budget: float | None = None
    permissions: Permissions = field(default_factory=_no_shell)
    """What the agent may run. An adapter translates it into the rules of its CLI as well as the CLI allows."""
    folder: Path | None = None
    """Folder of `Command.files`, outside of the worktree; None if the command will not be started."""
    checkout: Path | None = None
    """The user's checkout, in which the agent must not write; None if the command will not be started."""
    prompt_key: str = ""
    """The text that a cassette compares: the declared parts of the prompt, without the reports of failures."""

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
    """Variables passed on from the user's environment if they are set, secrets included."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files for the CLI to read, by name. They are written to `Task.folder` before the start."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the CLI ended, decided from exit status, final event and error flags together."""

    outcome: Literal["ok", "agent_error", "quota"]
    reason: str
    """One line in the CLI's own words; empty if the outcome is `ok`."""
    message: str
    """Text of the final answer."""
    usage: Usage
    session: SessionRef | None
    model: str | None = None
    notes: tuple[str, ...] = ()
    final: bool = False
    """True if another attempt with any agent would end the same way, so there is no retry."""
    limit: Literal["max_turns", "max_budget"] | None = None
    """The CLI's own limit that ended the run. The outcome is then `agent_error`; the engine records it as the guard."""
    lost_session: bool = False
    """True if the CLI did nothing, because the conversation to resume does not exist."""
    resets_at: float | None = None
    """For `quota`: when the limit resets, in seconds since the epoch; None if the CLI does not report it."""


class StreamReader(Protocol):
    """Reads the stdout of one attempt. Stateful; one per attempt."""

    def feed(self, line: bytes) -> Iterable[Event]:
        """Turn one line, without its newline, into events. Unknown or broken lines give a Note or nothing."""

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        """Return how the attempt ended.

        `exit_code` is None or negative if a signal ended the CLI. `stopped` is True if gump stopped it, or if the
        stream is read after a crash of the attempt.
        """


def has_ended(reader: StreamReader) -> bool:
    """True if the reader has a true attribute `ended`: the final event has arrived."""
    return getattr(reader, "ended", False) is True


Forks = Literal["never", "in its worktree", "anywhere"]
"""Where an agent can start with a copy of a conversation: nowhere, in the worktree of the original, or anywhere."""


@runtime_checkable
class Agent(Protocol):
    """An adapter bound to one agent name (`claude-opus`). The registry builds it. It keeps no state of attempts."""

    @property
    def name(self) -> str: ...

    @property
    def cli(self) -> str:
        """Name of the CLI. A conversation can be resumed only by an agent of the same CLI."""

    @property
    def cost(self) -> Provenance:
        """Where the cost comes from if an attempt ends by itself."""

    def missing(self) -> str | None:
        """Return why the agent cannot start (for example, its CLI is not on PATH) and what to do; None if it can."""

    def command(self, task: Task) -> Command: ...

    def reader(self, task: Task) -> StreamReader: ...


def shell_of(agent: Agent) -> Shell | None:
    """Return the `shell` attribute of an adapter; None if it does not describe the shell of its CLI."""
    shell: Shell | None = getattr(agent, "shell", None)
    return shell


def forks_of(agent: Agent) -> Forks:
    """Return the `forks` attribute of an adapter; without it "never", because a fork could change the original."""
    forks: Forks = getattr(agent, "forks", "never")
    return forks
