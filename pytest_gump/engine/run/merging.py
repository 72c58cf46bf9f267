"""Bringing what a parallel member did into the tree of its group: three trees, no checkout."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from pytest_gump.order import AttemptResult, Outcome, Timings
from pytest_gump.system.git.history import chain
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.order import Order
    from pytest_gump.system.git.repository import Repository

_STEP = re.compile(r"^Gump-Step: (.+)$", re.MULTILINE)


def merge(order: Order, repository: Repository, title: str) -> AttemptResult:
    """Merge `order.theirs` into `order.base`; `title` goes on in the message of the commit.

    The result's snapshot is where the group's tree stands now; after a conflict, the member's own commit.
    """
    began, started = time.monotonic(), time.time()
    ours, theirs, ancestor = order.base, order.theirs or order.base, order.step_base
    outcome, reason, commit, tree = Outcome.PASSED, "", ours, None
    if repository.tree_of(theirs) == repository.tree_of(ancestor):
        tree = repository.tree_of(ours)
    elif ours == ancestor:
        commit, tree = theirs, repository.tree_of(theirs)
    else:
        merged = repository.merge_preview(ours, theirs, None)  # both began at `ancestor`, and share nothing else
        tree = merged.tree
        if tree is None:
            outcome, commit = Outcome.CONFLICT, theirs
            reason = f"changed what others had changed before it was merged: {listed(merged.conflicts)}"
        else:
            commit = repository.commit_tree(tree, [ours, theirs], _message(order, repository, title))
    changed = repository.changed(ours, commit) if outcome is Outcome.PASSED else ()
    return AttemptResult(
        step=order.step,
        attempt=order.attempt,
        outcome=outcome,
        reason=reason,
        agent=None,
        timings=Timings(started, time.monotonic() - began),
        snapshot=commit,
        tree=tree,
        changed=changed,
    )


def steps_of(messages: Iterable[str]) -> tuple[str, ...]:
    """The steps that commits of a run name in their messages."""
    return tuple(step for message in messages for step in _STEP.findall(message))


def _message(order: Order, repository: Repository, title: str) -> str:
    """The steps that the merge brings are named in it: whoever follows first parents sees no other commit of theirs."""
    commits = chain(repository, order.step_base, order.theirs or order.base)
    trailers = [f"Gump-Run: {order.run_id}", *(f"Gump-Step: {step}" for step in steps_of(commits.values()))]
    return f"{order.step}: {title}\n\n" + "".join(f"{trailer}\n" for trailer in trailers)
