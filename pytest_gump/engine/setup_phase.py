"""Making a worktree ready for work: files that git does not track are copied into it, then the setup commands run."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.gate_phase import CommandRunner
from pytest_gump.engine.judge import Judgement
from pytest_gump.engine.order import Outcome
from pytest_gump.gates.detect import LOCK_FILES
from pytest_gump.gates.text import last_line, listed
from pytest_gump.system import copies
from pytest_gump.system.environment import child_environment

if TYPE_CHECKING:
    from pytest_gump.engine.agent_phase import Workplace
    from pytest_gump.engine.order import Order
    from pytest_gump.engine.tools import Tools
    from pytest_gump.system.worktree import Slot


_VISIBLE: Final = "git does not ignore it, so it would become part of the result"


class Setup:
    """What an order's worktree needs before anything works in it; the worktree holds the order's base."""

    def __init__(self, order: Order, tools: Tools, place: Workplace, slot: Slot) -> None:
        self._order = order
        self._tools = tools
        self._place = place
        self._slot = slot
        self.notes: list[str] = []

    def ensure(self) -> Judgement | None:
        """Set up a worktree that was made anew, or whose lock files have changed since; gives what went wrong."""
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
        self._accept(copied, at=self._order.base)
        return None

    def _accept(self, copied: list[str], *, at: str) -> None:
        self._slot.accept_ignored(commit=at, copied=copied)
        self._slot.restore(self._order.base)

    def _renew(self) -> Judgement | None:
        """Run the commands again where a lock file is another one than when they ran; copies stay as they are."""
        before = self._slot.setup.commit
        if not self._order.setup or not before:
            return None
        changed = [one.path for one in self._tools.repository.changed(before, self._order.base) if _is_lock(one.path)]
        if not changed:
            return None
        try:
            problem = self._run_commands()
        except BaseException:
            self._slot.discard()
            raise
        again = f"setup ran again, because {listed(changed)} changed"
        if problem is not None and self._order.base == self._order.step_base:
            self._slot.discard()
            return problem
        # A lock file of the attempt before is the agent's to mend.
        self.notes.append(again if problem is None else f"{again}: {problem.reason}")
        self._accept([*self._slot.setup.copied], at=self._order.base if problem is None else before)
        return None

    def _copy(self, wanted: list[str]) -> list[str]:
        repository, slot = self._tools.repository, self._slot
        found = copies.matching(repository, wanted, apart=slot.root)
        result = copies.copy(repository.root, slot.path, found, lambda: self._tools.listen(None))
        visible = slot.remove_not_ignored(result.done)
        left_out = {
            **result.left_out,
            **dict.fromkeys(visible, _VISIBLE),
        }
        for why in dict.fromkeys(left_out.values()):
            paths = [path for path, said in left_out.items() if said == why]
            self.notes.append(f"not copied: {listed(paths)} ({why})")
        return [path for path in result.done if path not in set(visible)]

    def _run_commands(self) -> Judgement | None:
        environment = child_environment(self._tools.settings.gate_env, self._place.environment)
        run = CommandRunner(self._tools, self._place, environment, self._tools.settings.setup_timeout_s)
        for command in self._order.setup:
            outcome = run(command, label="setup")
            if outcome.exit_code != 0:
                why = outcome.error or f"exit code {outcome.exit_code}"
                said = last_line(outcome.output)
                told = f"setup failed: {command}: {why}{f': {said}' if said else ''}"
                return Judgement.of(Outcome.GATE_ERROR, told)
        return None


def _is_lock(path: str) -> bool:
    return any(fnmatchcase(posixpath.basename(path), name) for name in LOCK_FILES)
