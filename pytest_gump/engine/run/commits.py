"""The commits of a run: what an attempt leaves in the repository when it is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.event_schema import CHANGE
from pytest_gump.engine.record.refs import commit_ref
from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from pytest_gump.engine.run.order_builder import RunInputs
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.git.repository import Repository


def commit_after(order: Order, result: AttemptResult, inputs: RunInputs, repository: Repository) -> str:
    """Return the commit with the tree after an attempt. The change of a passed attempt becomes a commit of its own."""
    if order.mode == "merge":
        return result.snapshot or order.base
    if order.mode != "diff" or result.tree is None:
        return order.base
    if not result.passed or result.gates_due:
        return result.snapshot or order.base
    if result.tree == repository.tree_of(order.step_base):
        return order.step_base
    message = (
        f"{order.step}: {inputs.workflow.name} on {inputs.spec_name}\n\n"
        f"Gump-Run: {inputs.run_id}\nGump-Step: {order.step}\n"
    )
    return repository.commit_tree(result.tree, [order.step_base], message)


def keep(repository: Repository, run_id: str, key: tuple[str, int], result: AttemptResult, commit: str | None) -> None:
    """Keep the commit of a passed attempt, given by step and number, under its own ref.

    The branch may not contain it: a restart moves the branch back, and a parallel group is merged later.
    """
    if result.passed and result.tree is not None and commit is not None:
        repository.update_ref(commit_ref(run_id, *key), commit)


def change(repository: Repository, base: str, head: str) -> dict[str, Any]:
    """Return fields of `run_finished`. There are no sums if git can no longer compare the commits."""
    try:
        changed = () if base == head else repository.changed(base, head)
    except WorktreeError:
        return {"unchanged": False}
    sums = (len(changed), sum(file.added or 0 for file in changed), sum(file.removed or 0 for file in changed))
    return {"unchanged": not changed, "change": dict(zip(CHANGE, sums, strict=True))}
