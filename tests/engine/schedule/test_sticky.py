from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.decision import Failure, Retry, Stop
from pytest_gump.engine.schedule.retry import Tally, decide
from pytest_gump.engine.schedule.sticky import by_rules, changes_later
from pytest_gump.order import Outcome
from pytest_gump.workflow.model import OnFailure, Policy, StickyRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.schedule.decision import Decision

RULES = (
    StickyRule(attempt=2, prompt="fix it"),
    StickyRule(gate="test", agent="opus"),
    StickyRule(attempt=4, agent="fable", worktree="reset"),
)


def failed(number: int, *gates: str, agent: str = "haiku", tree: str | None = None) -> Failure:
    return Failure(number, Outcome.GATE_FAILED, "gate_fail", agent=agent, failing=gates, tree=tree)


def test_values_stay_in_force_and_later_rules_replace_them() -> None:
    failures = [
        failed(1, "compile"),
        failed(2, "test"),
        failed(3, "compile", agent="opus"),
        failed(4, "test", agent="fable"),
    ]
    answers = [by_rules(RULES, failures[: number + 1]) for number in range(4)]
    assert answers == [
        Retry(prompt="fix it"),
        Retry("opus", session="fresh", prompt="fix it"),
        Retry("fable", session="fresh", worktree="reset", prompt="fix it"),
        Retry(session="resume", worktree="reset", prompt="fix it"),
    ]


def test_a_failed_validator_is_named_without_its_options() -> None:
    rules = (StickyRule(validate="arch-review", session="fresh"),)
    assert by_rules(rules, [failed(1, "test")]) == Retry()
    assert by_rules(rules, [failed(1, "validate: arch-review (focus: errors)")]) == Retry(session="fresh")


def decisions(rules: Sequence[StickyRule], failures: Sequence[Failure], retry: int = 5) -> list[Decision | None]:
    on_failure, tally = OnFailure(flat=Policy(retry, rules=tuple(rules))), Tally()
    return [decide(on_failure, tally, failure, compare_trees=True) for failure in failures]


def test_a_rule_for_the_next_attempt_that_changes_nothing_is_no_progress() -> None:
    rules = (StickyRule(attempt=3, agent="haiku"),)
    last = decisions(rules, [failed(1, "test", tree="a"), failed(2, "test", tree="a")])[-1]
    assert isinstance(last, Stop)
    assert last.outcome is Outcome.NO_PROGRESS


def test_the_last_attempt_is_final() -> None:
    assert decisions(RULES[:1], [failed(1, "test"), failed(2, "test", tree="b")], retry=2) == [
        Retry(prompt="fix it"),
        None,
    ]


@pytest.mark.parametrize(("attempt", "ends"), [(2, True), (4, False)])
def test_without_progress_the_step_ends_if_no_rule_comes(attempt: int, *, ends: bool) -> None:
    rules = (StickyRule(attempt=attempt, session="fresh"),)
    same = [failed(number, "test", tree="t") for number in (1, 2)]
    last = decisions((StickyRule(gate="lint", agent="opus"), *rules[attempt == 2 :]), same)[-1]
    assert isinstance(last, Stop) is ends
    assert changes_later(rules, 3) is not ends


rules_ = st.builds(
    StickyRule,
    attempt=st.none() | st.integers(1, 5),
    gate=st.sampled_from(["test", "lint"]),
    agent=st.sampled_from([None, "opus", "fable"]),
    session=st.sampled_from([None, "fresh"]),
    worktree=st.sampled_from([None, "reset"]),
    prompt=st.sampled_from([None, "fix"]),
)


@given(st.lists(rules_, min_size=1, max_size=4), st.lists(st.sampled_from(["test", "lint"]), min_size=1, max_size=6))
def test_what_has_been_set_is_never_unset(rules: list[StickyRule], gates: list[str]) -> None:
    failures: list[Failure] = []
    agent, seen = "haiku", Retry()
    for number, gate in enumerate(gates, start=1):
        failures.append(failed(number, gate, agent=agent))
        now = by_rules(rules, failures)
        assert now.agent != agent
        assert not (seen.prompt and now.prompt is None)
        assert not (seen.worktree == "reset" and now.worktree == "keep")
        assert now.session == "fresh" or now.agent is None
        agent, seen = now.agent or agent, now
