"""Whether an agent can begin with the session of an order, there where the attempt is made."""

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

ELSEWHERE: Final = "the session belongs to another worktree: started a fresh one"
NO_COPY: Final = "the agent's CLI cannot begin with a copy of a session: started a fresh one"
_SESSION_ID: Final = re.compile(r"(?!-)[!-~]{1,200}")

MOVED: Final = (
    "What you did before was done in another folder. You now work in {worktree}, where the files are as they were left:"
    " paths that you know from before belong to the other folder, which you must not use any more."
)


def usable(order: Order, agent: Agent, worktree: Path) -> tuple[Order, str | None]:
    """The order as it can be carried out, and why its session is left out.

    A session is never resumed in place of a copy: its own step may continue it.
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
    """The session for later orders: the adapter knows only the folder, not the slot's name.

    An id comes from the stream and becomes an argument of the CLI, so one that could be an option is dropped.
    """
    if session is None or not _SESSION_ID.fullmatch(session.id):
        return None
    return replace(session, slot=slot)
