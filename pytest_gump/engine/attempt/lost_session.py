"""Restart an attempt in a fresh conversation if the agent's CLI has lost the one to continue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.usage import Usage, worst_provenance
from pytest_gump.engine.attempt.agent_phase import STDERR, STREAM
from pytest_gump.engine.attempt.prompt import STANDING, TASK
from pytest_gump.order import Section
from pytest_gump.units import round_usd

if TYPE_CHECKING:
    from pytest_gump.agents.base import SessionRef
    from pytest_gump.engine.attempt.agent_phase import AgentRun
    from pytest_gump.order import Order
    from pytest_gump.system.directory import Directory

NOTE: Final = "the agent's CLI has lost the conversation: started a new one ({id} is gone)"
LOST: Final = "lost-session"
"""Folder below an attempt's folder, for the output of the start without the conversation."""


def lost_by(order: Order, run: AgentRun) -> SessionRef | None:
    """Return the order's conversation if the CLI ended only because it has lost it; otherwise None."""
    delayed = run.cancelled or run.breach is not None or run.trespass is not None
    return order.session if run.ending.lost_session and not delayed else None


def afresh(order: Order) -> Order:
    """Return the order for a fresh conversation; its prompt includes the work so far."""
    known = any(section.title == STANDING for section in order.head)
    head = order.head if known else with_standing(order.head, order.standing)
    return replace(order, session=None, fork=False, head=head)


def with_standing(head: tuple[Section, ...], text: str) -> tuple[Section, ...]:
    """Insert a section on the work so far after the task; return the sections unchanged if `text` is empty."""
    behind = next((number for number, section in enumerate(head, 1) if section.title == TASK), 0)
    return (*head[:behind], Section(STANDING, text), *head[behind:]) if text else head


def keep_apart(files: Directory) -> None:
    """Move the output of the first start away, so that the second one does not overwrite it."""
    files.make_folders(LOST)
    for name in (STREAM, STDERR):
        if files.status(name) is not None:
            files.move(name, files, f"{LOST}/{name}")


def time_left(order: Order, used_s: float) -> Order:
    """Return the order with its time limit reduced by the time already used; at least one second is left."""
    limits = order.limits
    if limits.max_time_s is None:
        return order
    left_s = max(1.0, limits.max_time_s - used_s)
    spent_s = limits.time_spent_s + limits.max_time_s - left_s
    return replace(order, limits=replace(limits, max_time_s=left_s, time_spent_s=spent_s))


def together(first: AgentRun, second: AgentRun) -> AgentRun:
    """Combine both starts into one for the ledger: their summed cost and time, and the end of the second."""
    ending = replace(second.ending, usage=added(first.ending.usage, second.ending.usage))
    return replace(
        second,
        ending=ending,
        duration_s=first.duration_s + second.duration_s,
        tool_use=first.tool_use + second.tool_use,
        notes=(*first.notes, *second.notes),
    )


def added(first: Usage, second: Usage) -> Usage:
    """Return the sum. An empty usage costs nothing; an unknown cost makes the sum unknown."""
    known = [usage for usage in (first, second) if not usage.is_empty] or [second]
    costs = [usage.cost_usd for usage in known]
    provenance = worst_provenance(known) or "unknown"
    return Usage(
        tokens=first.tokens + second.tokens,
        cost_usd=None if provenance == "unknown" else round_usd(sum(cost for cost in costs if cost is not None)),
        provenance=provenance,
        turns=first.turns + second.turns,
        tool_calls=first.tool_calls + second.tool_calls,
        context_tokens=max(first.context_tokens, second.context_tokens),
    )
