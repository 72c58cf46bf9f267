"""Merge the changes of a parallel member into the tree of its group: a three-way merge without a checkout."""

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
    """Merge `order.theirs` into `order.base`; `title` becomes part of the commit message.

    The result's snapshot is the group's new commit, or the member's own commit after a conflict.
    """
    began, started = time.monotonic(), time.time()
    ours, theirs, ancestor = order.base, order.theirs or order.base, order.step_base
    outcome, reason, commit, tree = Outcome.PASSED, "", ours, None
    if repository.tree_of(theirs) == repository.tree_of(ancestor):
        tree = repository.tree_of(ours)
    elif ours == ancestor:
        commit, tree = theirs, repository.tree_of(theirs)
    else:
        merged = repository.merge_preview(ours, theirs, None)  # git finds the merge base, which is `ancestor`
        tree = merged.tree
        if tree is None:
            outcome, commit = Outcome.CONFLICT, theirs
            reason = f"conflicts with changes that were merged before it: {listed(merged.conflicts)}"
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
    """Return the steps named in the messages of a run's commits."""
    return tuple(step for message in messages for step in _STEP.findall(message))


def _message(order: Order, repository: Repository, title: str) -> str:
    """Return the commit message. It names the merged steps, whose commits `git log --first-parent` does not show."""
    commits = chain(repository, order.step_base, order.theirs or order.base)
    trailers = [f"Gump-Run: {order.run_id}", *(f"Gump-Step: {step}" for step in steps_of(commits.values()))]
    return f"{order.step}: {title}\n\n" + "".join(f"{trailer}\n" for trailer in trailers)
