"""An open run of the session: its items, and the orders that executors are carrying out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.usage import NOTHING_USED
from pytest_gump.collect import find_or_make
from pytest_gump.engine.attempt.recovery import recover
from pytest_gump.engine.attempt.workplace import attempt_folder
from pytest_gump.order import AttemptResult
from pytest_gump.reporters.other_plugins import recount
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from contextlib import ExitStack

    import pytest

    from pytest_gump.agents.usage import Usage
    from pytest_gump.collect import StepItem, WorkflowCollector
    from pytest_gump.engine.run.run import Run
    from pytest_gump.order import Order, Outcome
    from pytest_gump.session.start import RunContext
    from pytest_gump.workflow.path import StepPath


@dataclass(slots=True, eq=False)
class ActiveRun:
    run: Run
    context: RunContext
    items: dict[str, StepItem]
    """By step path. Items of plan items are created when they are first needed."""
    stack: ExitStack
    """Closing it ends the run."""
    needs_preflight: bool
    unexpanded: dict[str, StepItem] = field(init=False)
    """Collected items, by static path, that plan items have not replaced."""
    root: WorkflowCollector = field(init=False)
    in_preflight: bool = False
    has_lost_preflight: bool = False
    in_flight: int = 0
    """Number of orders that executors are carrying out."""
    idle_at: int = -1
    """The loop's change counter when the run last had no order that could start."""
    is_idle: bool = False
    """True if the run has no order and waits for neither a quota nor an agent slot."""
    passed: dict[str, tuple[Any, str]] = field(default_factory=dict)
    """Reports and paths of passed steps, by node id. They are counted when the run ends."""
    judged: dict[str, Any] = field(default_factory=dict)
    """Reports of steps whose validators run, by node id."""
    spent_s: dict[str, float] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    """Node ids of the steps whose testcase is complete."""

    def __post_init__(self) -> None:
        self.unexpanded = {item.step_path.static: item for item in self.items.values()}
        self.root = next(iter(self.items.values())).root

    @property
    def label(self) -> str:
        return f"{self.run.record.spec}::{self.run.record.workflow}"

    def item(self, session: pytest.Session, path: StepPath) -> StepItem:
        known = len(self.items)
        item = find_or_make(self.root, path, self.items)
        if len(self.items) > known:
            self._count_in(session, item)
        return item

    def _count_in(self, session: pytest.Session, item: StepItem) -> None:
        """Add an item to the session and its count. The first item of a template replaces the template."""
        template = self.unexpanded.pop(item.step_path.static, None)
        if template is not None:
            session.items.remove(template)
        session.items.append(item)
        session.testscollected += template is None
        recount(session)


@dataclass(slots=True, eq=False, kw_only=True)
class InFlight:
    """An order that an executor is carrying out: a step (`StepInFlight`) or the preflight of a run."""

    ticket: int
    active: ActiveRun
    order: Order
    began: float = field(default_factory=time.time)
    usage: Usage | None = None
    """Usage that the agent has reported so far."""

    def interrupted(
        self, outcome: Outcome, reason: str, *, unreported: Usage = NOTHING_USED, final: bool = False
    ) -> AttemptResult:
        """Return the result of an attempt that was cut short, completed from its files on disk."""
        usage, tools = self.usage or unreported, self.active.context.tools
        result = AttemptResult.not_made(self.order, outcome, reason, started=CLOCK.now(), usage=usage, final=final)
        folder = attempt_folder(tools.scratch, self.ticket)
        return result if folder is None else recover(self.order, tools, result, folder, self.began)


@dataclass(slots=True, eq=False, kw_only=True)
class StepInFlight(InFlight):
    item: StepItem
    cli: str | None
