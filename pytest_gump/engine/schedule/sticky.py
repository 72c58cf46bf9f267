"""The rules of a `retry:` of Gump 0.0.4, as a function of the failures since the step was entered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.decision import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.schedule.decision import Failure
    from pytest_gump.workflow.model import StickyRule


@dataclass(slots=True)
class _InForce:
    """The values of the rules that have fitted so far."""

    agent: str | None = None
    is_fresh: bool = False
    is_reset: bool = False
    prompt: str | None = None

    def add(self, rule: StickyRule) -> None:
        self.agent = rule.agent or self.agent
        self.is_fresh = self.is_fresh or rule.session is not None
        self.is_reset = self.is_reset or rule.worktree is not None
        self.prompt = rule.prompt or self.prompt


def by_rules(rules: Sequence[StickyRule], failures: Sequence[Failure]) -> Retry:
    """Return the next attempt after these failures.

    Before each attempt, all rules are compared with the failure of the attempt before. The values of a rule that fits
    replace earlier ones and stay in force. Another agent starts a new conversation. `Retry()` changes nothing.
    """
    values = _InForce()
    for number, failure in enumerate(failures, start=2):
        for rule in rules:
            if _fits(rule, failure, number):
                values.add(rule)
    agent = None if values.agent == failures[-1].agent else values.agent
    is_fresh = values.is_fresh or agent is not None
    return Retry(
        agent,
        "fresh" if is_fresh else "resume" if values.is_reset else None,
        "reset" if values.is_reset else "keep",
        values.prompt,
    )


def changes_later(rules: Sequence[StickyRule], number: int) -> bool:
    """True if a rule counts attempts and begins after this one."""
    return any(rule.attempt is not None and rule.attempt > number for rule in rules)


def _fits(rule: StickyRule, failure: Failure, number: int) -> bool:
    if rule.attempt is not None:
        return number >= rule.attempt
    return rule.gate in failure.failing_gates or rule.validate in failure.failing_validators
