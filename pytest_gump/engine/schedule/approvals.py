"""A schedule in which a person must approve the work of some attempts.

Such an attempt has ended, but its step has not. The steps after it wait, and a parallel group merges no member from it
on. All other steps continue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.attempts import gates_part
from pytest_gump.engine.schedule.nodes import judged_by
from pytest_gump.engine.schedule.records import Settled
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import Outcome
from pytest_gump.text import listed

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.path import StepPath


class ScheduleWithApprovals(Schedule):
    def __init__(self, workflow: Workflow, *, base: str) -> None:
        self.is_awaiting = False
        """True if the run has ended because no step can start until a person answers."""
        super().__init__(workflow, base=base)

    def hold(self, path: StepPath) -> Settled:
        """Let an attempt in flight, which has ended, wait for a person. Until then, its step has not ended."""
        leaf, ready = self._find(path)
        self._open.drop(path)
        self._awaiting[path] = leaf, ready
        for node in (leaf, judged_by(leaf)):
            if node is not None:
                node.status = "awaiting"
        return Settled("awaiting", Outcome.AWAITING)

    def release(self, path: StepPath) -> None:
        """Put a held attempt in flight again, because a person has answered."""
        leaf, ready = self._awaiting.pop(path)
        for node in (leaf, judged_by(leaf)):
            if node is not None:
                node.status = "running"
        self._open.add(leaf, ready)
        self._open.start(path)

    def split(self, path: StepPath, commit: str) -> Settled:
        """Let the gates of an attempt in flight follow as its second part, on the files at `commit`."""
        leaf, ready = self._find(path)
        self._open.drop(path)
        if self._has_failed:
            leaf.status = "skipped"
            return Settled("approved", skipped=(leaf.path,))
        self._start(leaf, gates_part(ready, commit))
        return Settled("approved")

    def end_if_stalled(self) -> Settled | None:
        """End the run if no step can start until a person answers; return which steps are given up and skipped."""
        if self._has_failed or not self._awaiting or self._enterable_groups or self._open.all():
            return None
        self.is_awaiting = True
        failed, self._failed_leaves = tuple(leaf.path for leaf in self._failed_leaves), []
        reason = f"{listed([str(path.checked or path) for path in self._awaiting])} must be approved first"
        return Settled("awaiting", Outcome.AWAITING, failed=failed, skipped=self._end(reason))
