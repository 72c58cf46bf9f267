"""Changes of an attempt in its worktree: keep them as a commit, compare them, roll them back."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.refs import snapshot_ref
from pytest_gump.order import AttemptResult, from_wire
from pytest_gump.system.worktrees.slot import Snapshot
from pytest_gump.text import listed

if TYPE_CHECKING:
    from pytest_gump.order import Order
    from pytest_gump.system.directory import Directory
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.secrets import Secrets
    from pytest_gump.system.worktrees.slot import Slot


def attempt_ref(order: Order) -> str:
    """Return the ref that keeps the attempt's snapshot."""
    return snapshot_ref(order.run_id, order.step, order.attempt)


def stored_result(repository: Repository, commit: str) -> AttemptResult | None:
    """Read the result from the message of an attempt's snapshot; None if the commit is not one."""
    _, _, body = repository.message_of(commit).partition("\n\n")
    try:
        result = from_wire(AttemptResult, json.loads(body))
    except ValueError:
        return None
    return replace(result, snapshot=commit)


OF_CLI: Final = (".claude/worktrees", ".claude/settings.local.json")
"""Paths that Claude Code writes by itself: worktrees of its subagents, and settings of one machine."""


class Snapshots:
    """The files of one attempt. Before `keep`, all properties show the order's base."""

    def __init__(self, order: Order, repository: Repository, slot: Slot, files: Directory) -> None:
        """`files` is the attempt's scratch folder."""
        self._order = order
        self._repository = repository
        self._slot = slot
        self._files = files
        self._folder = Path(files.access)
        self._rolled_back = False
        self.snapshot: Snapshot | None = None
        self.notes: list[str] = []
        self.bad: list[str] = []
        """Paths that cannot be kept; they fail the attempt."""

    @property
    def commit(self) -> str:
        """The commit that the worktree holds."""
        return self._order.base if self.snapshot is None or self._rolled_back else self.snapshot.commit

    @property
    def tree(self) -> str:
        if self.snapshot is None or self._rolled_back:
            return self._repository.tree_of(self._order.base)
        return self.snapshot.tree

    @property
    def changed(self) -> tuple[ChangedFile, ...]:
        """Changes since the step began; for a gate-only step, since the run's base."""
        return self._between(self._began, self.commit)

    @property
    def changed_by_attempt(self) -> tuple[ChangedFile, ...]:
        return self._between(self._order.base, self.commit)

    @property
    def _began(self) -> str:
        return self._order.run_base if self._order.mode == "gate" else self._order.step_base

    def keep(self, message: str) -> Snapshot:
        """Snapshot the worktree, even after a failed agent. Moves the output folder out of it first."""
        self._files.make_folders("out")
        moved = self._slot.take_handover(self._files.folder("out"))
        if moved.dropped:
            dropped = listed(moved.dropped)
            self.notes.append(f"removed from .gump/out because they are not plain files: {dropped}")
        self.bad = moved.too_deep
        self._set_aside()
        self.snapshot = snapshot = self._slot.snapshot(self._order.base, message, attempt_ref(self._order))
        self.notes += snapshot.problems
        self.bad += snapshot.bad
        self._repository.diff(self._order.base, snapshot.commit, self._folder / "diff.patch")
        return snapshot

    def _set_aside(self) -> None:
        """Move files that the agent's CLI wrote for its own use (`OF_CLI`) from the worktree to the attempt's files."""
        slot = self._slot.directory
        found = [path for path in OF_CLI if slot.status(path) and not self._repository.holds(self._order.base, path)]
        for path in found:
            self._files.own("set-aside")
            with suppress(OSError):  # another disk
                slot.move(path, self._files, f"set-aside/{path.rpartition('/')[2]}")
            slot.remove(path)
            slot.remove_empty(path.rpartition("/")[0])
        if found:
            self.notes.append(f"set aside files that the agent's CLI wrote for its own use: {listed(found)}")

    def keep_nothing(self, message: str) -> None:
        """Keep the order's base as the snapshot, for an attempt whose worktree cannot be read."""
        base, ref = self._order.base, attempt_ref(self._order)
        tree = self._repository.tree_of(base)
        commit = self._repository.commit_tree(tree, [base], message)
        self._repository.update_ref(ref, commit)
        self.snapshot = Snapshot(commit, tree)
        self._repository.diff(base, commit, self._folder / "diff.patch")

    def roll_back(self) -> None:
        """Undo the change in the worktree; the snapshot stays under the ref `<attempt ref>-dropped`."""
        if self.snapshot is not None:
            self._repository.update_ref(f"{attempt_ref(self._order)}-dropped", self.snapshot.commit)
        self._slot.restore(self._order.base)
        self._rolled_back = True

    def seal(self, message: str) -> str | None:
        """Commit the snapshot again with the final result in the message, and return it; None without a snapshot."""
        if self.snapshot is None:
            return None
        commit = self._repository.commit_tree(self.tree, [self._order.base], message)
        self._repository.update_ref(attempt_ref(self._order), commit)
        return commit

    def patch(self) -> Path:
        """Return the patch since the step began: `diff.patch` if the attempt began there too, else `step.patch`."""
        if self.snapshot is not None and self._began == self._order.base:
            return self._folder / "diff.patch"
        patch = self._folder / "step.patch"
        if not patch.exists():
            self._repository.diff(self._began, self.commit, patch)
        return patch

    def leaks(self, secrets: Secrets) -> list[str]:
        """Return the places of secrets in the step's changes and in the attempt's output files."""
        if not secrets:
            return []
        out = self._folder / "out"
        handed = sorted(path for path in out.rglob("*") if path.is_file() and not path.is_symlink())
        found = [f"{name} in {path.name}" for path in handed for name in secrets.names_in_file(path)]
        found += [f"{name} in the path of a file" for file in self.changed for name in secrets.names_in(file.path)]
        unshown = (changed.path for changed in self.changed if changed.added is None and changed.status != "deleted")
        for path in unshown:  # the patch does not show the content of binary and large files
            with suppress(OSError), open(self._slot.directory.open_file(path), "rb") as file:  # noqa: PTH123
                found += [f"{name} in {path}" for name in secrets.names_in_stream(file)]
        return found + secrets.added_in(self.patch())

    def _between(self, old: str, new: str) -> tuple[ChangedFile, ...]:
        return () if old == new else self._repository.changed(old, new)
