"""The side slot of an order: a second worktree, in which a gate can run commands on other files than the attempt's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.attempt.setup_phase import Setup
from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.attempt.workplace import Workplace
    from pytest_gump.order import Order


def beside(order: Order, tools: Tools, workplace: Workplace, commit: str) -> Workplace:
    """Prepare the side slot with the files of a commit, set up like any worktree. Return it as a workplace.

    The files of the attempt's own worktree do not change. The output of commands goes to the attempt's folder.

    Raises:
        WorktreeError: The order has no side slot, or the worktree cannot be set up.
    """
    if not order.side:
        raise WorktreeError(f"the order of {order.step} has no side slot")
    slot = tools.slots.slot(order.side)
    slot.prepare(commit)
    side = replace(
        workplace, worktree=slot.path, enter=slot.enter, environment={**workplace.environment, **slot.environment}
    )
    problem = Setup(order, tools, side, slot, at=commit).ensure()
    if problem is not None:
        raise WorktreeError(problem.reason)
    return side
