"""What a gate is given and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_gump.system.git.changes import ChangedFile

GateStatus = Literal["passed", "failed", "skipped", "error"]

PROJECT_GATES: Final = ("compile", "test", "lint", "coverage")
"""Their command is the project's own: set, or detected."""
COMMAND_GATES: Final = (*PROJECT_GATES, "bash")


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's answer. `failed` is about the work, `error` means that the check itself could not run."""

    name: str
    """As in the workflow, with its argument: `touched: @tests`."""
    status: GateStatus
    summary: str = ""
    """One line: what a person should know (`2 failed, 7 passed`; `command not found: ruff`)."""
    output: str = ""
    """What the agent gets in its prompt on a retry: bounded, head and tail kept."""
    command: str | None = None
    exit_code: int | None = None
    duration_s: float = 0.0
    output_file: str | None = None
    """Name in the attempt's `gates/` folder of the whole output."""
    tests: dict[str, int] | None = None
    """Number of tests `collected`, and of each outcome; None: the command gives no record per test."""


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One entry of a plan; `slug` is unique in it."""

    name: str
    slug: str
    description: str = ""
    files: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Slugs of the items that must have passed before."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a review came to."""

    passed: bool
    comment: str = ""


Payload = tuple[PlanItem, ...] | Verdict | str | None
"""What an agent delivers: a plan, a verdict, the text of an artifact, or nothing."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a shell command of a gate ended. Stdout and stderr are one text, in order."""

    exit_code: int | None
    """None: could not be started, or was ended by the timeout or a signal; `error` then says which."""
    output: str
    """Bounded in memory: head and tail."""
    output_file: str | None
    duration_s: float
    error: str | None = None
    records: bytes | None = None
    """Its output to descriptor 3; None if it had no such descriptor."""


class RunCommand(Protocol):
    def __call__(
        self, command: str, *, label: str, env: Mapping[str, str] | None = None, with_records: bool = False
    ) -> CommandOutcome:
        """Run a shell command in the worktree, under the supervisor, with the gate timeout."""


@dataclass(frozen=True, slots=True)
class GateContext:
    """Everything a gate may look at."""

    worktree: Path
    changed: Sequence[ChangedFile]
    """Since the step began (a gate-only step: since the run's base): tree against tree, all attempts."""
    run: RunCommand
    commands: Mapping[str, str]
    """Resolved commands of the run's base: keys compile, test, lint, coverage; a missing key = nothing found."""
    mode: Literal["diff", "plan", "artifact", "review", "gate"] = "diff"
    payload: Payload = None
    """The validated hand-over: plan items, verdict or artifact text."""
    payload_error: str | None = None
    read_base: Callable[[str], bytes | None] = lambda _: None
    """A file as it was when the step began; None when it was not there."""
    custom: Mapping[str, Callable[[Any], None]] = field(default_factory=dict)
    step: Any = None
    """The read-only step view that custom gates get."""
    timeout_s: float = 600.0
    test_patterns: Sequence[str] = ()
    """What `@tests` stands for: gitignore-style patterns; empty = the built-in table for all languages."""
    output_chars: int = 2000
    """Budget of `GateResult.output`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What commands get anyway (the allow-list); gates put the worktree in front of its PYTHONPATH."""


class Gate(Protocol):
    def __call__(self, argument: str | None, context: GateContext) -> GateResult: ...
