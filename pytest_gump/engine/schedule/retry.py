"""Failure policies: `on_failure` as a pure function of the failures so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.decision import Decision, Failure, Replan, Restart, Retry, Stop
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.decision import FailureSource
    from pytest_gump.workflow.model import Entry, OnFailure, Policy, When

FLAT: Final = "flat"
_NO_PROGRESS: Final = Stop("no progress: the same tree and the same failing checks twice in a row", Outcome.NO_PROGRESS)


@dataclass(slots=True)
class Count:
    """Progress of one policy: the flat one, or one branch."""

    failures: int = 0
    used: set[int] = field(default_factory=set)
    """0-based indexes of the strategy entries that failures have used up, without the first entry."""
    newest: Entry | None = None
    """The entry that answered the last failure; None for the first attempt."""


@dataclass(slots=True)
class Tally:
    """The failures of one step or group that still count, and the position in its strategy lists."""

    failures: list[Failure] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    streak: int = 0
    """Number of failures since the step was entered; only these are compared for progress."""
    reason: str = ""
    """Why the newest decision was made, if the strategy has conditions."""

    def enter(self) -> None:
        """Enter the step again after a restart: keep the failures, and start the flat list over.

        A branch counts only its own failures, and its list starts over only after its own restart.
        """
        self.streak = 0
        if FLAT in self.counts:
            self.counts[FLAT].used.clear()

    def clear(self) -> None:
        """Remove all failures in place: several objects may share the tally."""
        self.failures.clear()
        self.counts.clear()
        self.streak = 0

    def restart_list(self, on_failure: OnFailure | None) -> None:
        """Start over the list of the policy that decided on a restart after the newest failure."""
        name = branch_name(on_failure, self.failures[-1].source)
        if name in self.counts:
            self.counts[name].used.clear()


def branch_name(on_failure: OnFailure | None, source: FailureSource) -> str:
    """Return the name of the counter for `source`; a missing branch uses that of `gate_fail`."""
    if on_failure is None or on_failure.flat is not None:
        return FLAT
    return source if getattr(on_failure, source) is not None else "gate_fail"


def decide(on_failure: OnFailure | None, tally: Tally, failure: Failure, *, compare_trees: bool) -> Decision | None:
    """Count `failure` and return the decision of the workflow's own policy; None if no attempt is left.

    Without a policy for this kind of failure, the first failure is final. If no entry fits, the step stops.
    `compare_trees` is False if the tree does not show progress: for gate-only steps and steps that must not write.
    """
    previous = tally.failures[-1] if tally.failures and tally.streak else None
    tally.reason = ""
    tally.failures.append(failure)
    tally.streak += 1
    policy = on_failure.branch(failure.source) if on_failure else None
    if on_failure is None or policy is None or failure.final:
        return None
    count = tally.counts.setdefault(branch_name(on_failure, failure.source), Count())
    count.failures += 1
    if count.failures >= policy.retry:
        return None
    is_stuck = compare_trees and previous is not None and no_progress(previous, failure)
    if policy.rules:
        from pytest_gump.engine.schedule.sticky import by_rules, changes_later  # only for files of Gump 0.0.4

        ruled = by_rules(policy.rules, tally.failures[-tally.streak :])
        ends = is_stuck and ruled == Retry() and not changes_later(policy.rules, tally.streak + 1)
        return _NO_PROGRESS if ends else ruled
    decision, tally.reason = _decide(policy, count, failure, attempt=tally.streak + 1, is_stuck=is_stuck)
    return decision


def no_progress(before: Failure, after: Failure) -> bool:
    """True if two consecutive failures have the same tree, the same failing checks and the same agent."""
    return (
        after.tree is not None
        and bool(after.failing)
        and (before.tree, before.failing, before.agent) == (after.tree, after.failing, after.agent)
    )


def fits(when: When | None, failure: Failure, attempt: int) -> bool:
    """True if an entry with these conditions fits a failure; `attempt` is the number of the next attempt."""
    if when is None:
        return True
    is_failing = not when.gate or not failure.failing_gates.isdisjoint(when.gate)
    is_refused = when.validate is None or when.validate in failure.failing_validators
    return is_failing and is_refused and (when.attempt is None or attempt >= when.attempt)


def _decide(policy: Policy, count: Count, failure: Failure, *, attempt: int, is_stuck: bool) -> tuple[Decision, str]:
    """Use up the first unused entry that fits. If there is none, restart, repeat the last one, or stop.

    Without progress, entries before it that repeat the attempt are used up too. If only these are left, the step
    stops. Return the decision, and the reason if it depends on conditions.
    """
    has_skipped, made = False, count.newest or policy.strategy[0]
    for index, entry in enumerate(policy.strategy[1:]):
        if index in count.used or not fits(entry.when, failure, attempt):
            continue
        count.used.add(index)
        if not is_stuck or not _repeats(entry, made):
            count.newest = entry
            return to_decision(entry), "" if entry.when is None else f"strategy: {entry.name} {entry.when}"
        has_skipped = True
    if policy.restart_from is not None:
        return Restart(policy.restart_from), ""
    last = policy.last
    if is_stuck and (has_skipped if last is None else _repeats(last, made)):
        return _NO_PROGRESS, ""
    count.newest = last
    return (Stop(), "no entry of the strategy fits this failure") if last is None else (to_decision(last), "")


def _repeats(entry: Entry, made: Entry) -> bool:
    """True if an entry repeats the attempt that `made` stands for: with the same prompt, conversation and files."""
    changes = made.prompt, made.session, made.worktree
    return entry.kind == "same" and (entry.prompt, entry.session, entry.worktree) == changes


def to_decision(entry: Entry) -> Decision:
    if entry.kind == "same" or entry.agent is None:
        return Retry(None, session=entry.session, worktree=entry.worktree or "keep", prompt=entry.prompt)
    session, worktree = entry.session or "fresh", entry.worktree or "reset"
    kind = Retry if entry.kind == "escalate" else Replan
    return kind(entry.agent, session=session, worktree=worktree, prompt=entry.prompt)
