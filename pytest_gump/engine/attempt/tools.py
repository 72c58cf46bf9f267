"""The dependencies of an executor: repository, worktrees, processes, adapters, clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_gump.agents.base import Agent
    from pytest_gump.gates.tools.interpreter import Interpreter
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.processes.process import Supervisor
    from pytest_gump.system.secrets import Secrets
    from pytest_gump.system.worktrees.slots import Slots


class GateStarted(NamedTuple):
    """A gate starts; `name` is as in the workflow, with its argument."""

    name: str


SHOWN: Final = (Turn, ToolCall, UsageSeen)
"""Events of an agent that the live display receives."""

if TYPE_CHECKING:
    ShownEvent = Turn | ToolCall | UsageSeen
    AttemptEvent = ShownEvent | GateStarted | None
    """Report of a running attempt: an event of its agent, the start of a gate, or None several times a second."""


def masked_event(event: AttemptEvent, secrets: Secrets) -> AttemptEvent:
    """Return the event with secrets masked, for the live display."""
    if isinstance(event, ToolCall):
        return replace(event, path=secrets.mask(event.path), command=secrets.mask(event.command))
    return event


def _nobody_listens(_event: AttemptEvent) -> None:
    return


def _nobody_asks() -> None:
    return


@dataclass(frozen=True, slots=True)
class Tools:
    repository: Repository
    slots: Slots
    supervisor: Supervisor
    agents: Callable[[str], Agent]
    """Returns the adapter of an agent name; raises AgentError if the name is unknown."""
    gates: Mapping[str, Callable[[Any], None]]
    """Custom gates by name."""
    settings: Settings
    scratch: Path
    """Each attempt creates a new folder in it."""
    interpreter: Interpreter | None = None
    """The gates' Python when the run began; None = not compared."""
    listen: Callable[[AttemptEvent], None] = _nobody_listens
    """Receives each event immediately, for the live display."""
    stop_asked: Callable[[], str | None] = _nobody_asks
    """Returns why the agent must stop because the run's budget is spent, or None; called several times a second."""
    clock: Callable[[], float] = CLOCK
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""
