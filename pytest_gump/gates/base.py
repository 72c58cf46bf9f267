"""Input and result of a gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_gump.system.git.changes import ChangedFile

GateStatus = Literal["passed", "failed", "skipped", "error"]

PROJECT_GATES: Final = ("compile", "test", "lint", "coverage")
"""Gates that run a command of the project, configured or detected."""
COMMAND_GATES: Final = (*PROJECT_GATES, "bash")


@dataclass(frozen=True, slots=True)
class GateResult:
    """Result of one gate. `failed`: the work does not meet the check. `error`: the check could not run."""

    name: str
    """As in the workflow, with its argument: `touched: @tests`."""
    status: GateStatus
    summary: str = ""
    """One line for the user (`2 failed, 7 passed`; `command not found: ruff`)."""
    output: str = ""
    """Text for the agent's prompt on a retry: bounded, with head and tail."""
    command: str | None = None
    exit_code: int | None = None
    duration_s: float = 0.0
    output_file: str | None = None
    """Name of the file with the whole output, in the attempt's `gates/` folder."""
    tests: dict[str, int] | None = None
    """Number of tests `collected`, and of each outcome; None if the command writes no record per test."""


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One entry of a plan; `slug` is unique in it."""

    name: str
    slug: str
    description: str = ""
    files: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Slugs of the items that must pass first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of a review."""

    passed: bool
    comment: str = ""


Payload = tuple[PlanItem, ...] | Verdict | str | None
"""Output of an agent: a plan, a verdict, the text of an artifact, or nothing."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a shell command of a gate ended. Stdout and stderr are one text, in order."""

    exit_code: int | None
    """None if the command could not start, or if the timeout or a signal ended it; `error` then has the reason."""
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
    """Everything that a gate can read."""

    worktree: Path
    changed: Sequence[ChangedFile]
    """Changes since the step began (gate-only step: since the run's base): tree against tree, over all attempts."""
    run: RunCommand
    commands: Mapping[str, str]
    """Commands for the run's base, by gate: compile, test, lint, coverage. A missing key means that none was found."""
    mode: Literal["diff", "plan", "artifact", "review", "gate"] = "diff"
    payload: Payload = None
    """The validated output: plan items, verdict or artifact text."""
    payload_error: str | None = None
    read_base: Callable[[str], bytes | None] = lambda _: None
    """Returns the content of a file when the step began; None if it did not exist."""
    custom: Mapping[str, Callable[[Any], None]] = field(default_factory=dict)
    step: Any = None
    """The read-only step view that custom gates get."""
    timeout_s: float = 600.0
    test_patterns: Sequence[str] = ()
    """Gitignore-style patterns of `@tests`; empty means the built-in patterns for all languages."""
    output_chars: int = 2000
    """Maximum length of `GateResult.output`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The environment that commands inherit (the allow-list); gates put the worktree first on its PYTHONPATH."""


class Gate(Protocol):
    def __call__(self, argument: str | None, context: GateContext) -> GateResult: ...
