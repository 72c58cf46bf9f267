"""Check whether an agent can resume or fork the order's conversation in the worktree of the attempt."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import forks_of
from pytest_gump.engine.attempt.lost_session import afresh, with_standing

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.agents.base import Agent, SessionRef
    from pytest_gump.order import Order

ELSEWHERE: Final = "the conversation belongs to another worktree: started a new one"
NO_COPY: Final = "the agent's CLI cannot start with a copy of a conversation: started a new one"
_SESSION_ID: Final = re.compile(r"(?!-)[!-~]{1,200}")

MOVED: Final = (
    "What you did before was done in another folder. You now work in {worktree}, where the files are as they were left:"
    " paths that you know from before belong to the other folder, which you must not use any more."
)


def usable(order: Order, agent: Agent, worktree: Path) -> tuple[Order, str | None]:
    """Return the order as it can be carried out, and why its conversation is not continued (None if it is).

    If an order needs a copy of a conversation, the original is never resumed instead: its own step may continue it.
    """
    session = order.session
    if session is None:
        return order, None
    forks = forks_of(agent) if order.fork else None
    if forks == "never":
        return afresh(order), NO_COPY
    if session.slot == order.slot:
        return order, None
    if forks != "anywhere":
        return afresh(order), ELSEWHERE
    return replace(order, head=with_standing(order.head, MOVED.format(worktree=worktree))), None


def kept(session: SessionRef | None, slot: str) -> SessionRef | None:
    """Return the conversation for later orders, with the slot's name, which the adapter does not know.

    The id comes from the stream and becomes an argument of the CLI, so an id that could be an option is dropped.
    """
    if session is None or not _SESSION_ID.fullmatch(session.id):
        return None
    return replace(session, slot=slot)
