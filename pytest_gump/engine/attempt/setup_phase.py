"""Set up a worktree or a side slot: copy files that git does not track into it, then run the setup commands."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.attempt.gate_phase import CommandRunner
from pytest_gump.engine.attempt.judge import Judgement
from pytest_gump.errors import WorktreeError
from pytest_gump.gates.tools.detect import LOCK_FILES
from pytest_gump.order import Outcome
from pytest_gump.system.environment import child_environment
from pytest_gump.system.git.absent_modules import absent_modules
from pytest_gump.system.worktrees import copies
from pytest_gump.text import last_line, listed

if TYPE_CHECKING:
    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.attempt.workplace import Workplace
    from pytest_gump.order import Order
    from pytest_gump.system.worktrees.slot import Slot


NOT_COPIED: Final = "not copied"
_VISIBLE: Final = "git does not ignore it, so it would become part of the result"

_ABSENT: Final = (
    "git ignores these modules of your checkout, so the worktree lacks them: {paths}; tests that import them are "
    "skipped or fail there; name them in .worktreeinclude, or build them with gump_setup"
)


class Setup:
    """Setup of a worktree before an agent or gates work in it.

    `at` is the commit in the worktree: the order's base, or the snapshot that the gates check.
    """

    def __init__(self, order: Order, tools: Tools, workplace: Workplace, slot: Slot, *, at: str) -> None:
        self._order = order
        self._at = at
        self._tools = tools
        self._workplace = workplace
        self._slot = slot
        self.notes: list[str] = []
        self.removed: list[str] = []

    def begin(self) -> Judgement | None:
        """Like `ensure`. A preflight also notes ignored modules that exist only in the checkout."""
        problem = self.ensure()
        if problem is None and self._order.setup_only:
            directory = self._slot.directory
            absent = absent_modules(self._tools.repository, lambda path: directory.status(path) is not None)
            self.notes += [_ABSENT.format(paths=listed(absent))] if absent else []
        return problem

    def ensure(self) -> Judgement | None:
        """Set up the worktree if it is new or its lock files have changed; return a judgement only if that fails."""
        if not self._slot.lacks_setup:
            return self._renew()
        wanted = copies.patterns(self._tools.repository, self._tools.settings.copy)
        if not self._order.setup and not wanted:
            return None
        try:
            copied = self._copy(wanted) if wanted else []
            problem = self._run_commands()
        except BaseException:
            self._slot.discard()
            raise
        if problem is not None:
            self._slot.discard()  # so that the next attempt sets up again
            return problem
        self._accept(copied, at=self._at)
        return None

    def for_gates(self) -> Judgement | None:
        """Remove all files except those of git and setup. Run setup again if its files or a lock file were changed.

        Sets `removed` to the ignored files that were removed.
        """
        slot = self._slot
        self.removed = slot.remove_ignored(())
        slot.remove_bytecode()
        if not slot.setup.is_done:
            return None
        changed = slot.setup.undo(slot.directory)
        if changed:
            self.notes.append(f"setup ran again before the gates because its files were changed: {listed(changed)}")
            slot.setup.remove(slot.directory)
        return self.ensure()

    def _accept(self, copied: list[str], *, at: str) -> None:
        self._slot.accept_ignored(commit=at, copied=copied)
        self._slot.restore(self._at)

    def _renew(self) -> Judgement | None:
        """Run the commands again if a lock file has changed since they ran; do not copy files again."""
        before = self._slot.setup.commit
        if not self._order.setup or not before:
            return None
        changed = [file.path for file in self._tools.repository.changed(before, self._at) if _is_lock(file.path)]
        if not changed:
            return None
        try:
            problem = self._run_commands()
        except BaseException:
            self._slot.discard()
            raise
        again = f"setup ran again because lock files were changed: {listed(changed)}"
        if problem is not None and self._at == self._order.step_base:
            self._slot.discard()
            return problem
        # If an attempt changed the lock file, its agent must fix it.
        self.notes.append(again if problem is None else f"{again}: {problem.reason}")
        self._accept([*self._slot.setup.copied], at=self._at if problem is None else before)
        if problem is None or self._at == self._order.base:
            return None
        return replace(problem, outcome=Outcome.GATE_FAILED)

    def _copy(self, wanted: list[str]) -> list[str]:
        repository, slot = self._tools.repository, self._slot
        found = copies.matching(repository, wanted, apart=slot.root)
        result = copies.copy(repository.root, slot.enter(), found, lambda: self._tools.listen(None))
        visible = slot.remove_not_ignored(result.done)
        left_out = {
            **result.left_out,
            **dict.fromkeys(visible, _VISIBLE),
        }
        for why in dict.fromkeys(left_out.values()):
            paths = [path for path, said in left_out.items() if said == why]
            self.notes.append(f"{NOT_COPIED} ({why}): {listed(paths)}")
        return [path for path in result.done if path not in set(visible)]

    def _run_commands(self) -> Judgement | None:
        environment = child_environment(self._tools.settings.gate_env, self._workplace.environment)
        run = CommandRunner(self._tools, self._workplace, environment, self._tools.settings.setup_timeout_s)
        for command in self._order.setup:
            outcome = run(command, label="setup")
            if outcome.exit_code != 0:
                why = outcome.error or f"exit code {outcome.exit_code}"
                said = last_line(outcome.output)
                reason = f"setup failed: {command}: {why}{f': {said}' if said else ''}"
                return Judgement.failed(Outcome.GATE_ERROR, reason)
        return None


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


def _is_lock(path: str) -> bool:
    return any(fnmatchcase(posixpath.basename(path), name) for name in LOCK_FILES)
