from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.decision import Decision, Failure, FailureSource, Replan, Restart, Retry, Stop
from pytest_gump.engine.schedule.retry import Tally, decide, fits, no_progress, to_decision
from pytest_gump.workflow.model import Entry, OnFailure, Policy, When
from pytest_gump.workflow.reading.rules_reach import unreached_by
from pytest_gump.workflow.reading.rules_when import most_attempts

from tests.engine.schedule_kit import flat, policy

_NAMES = {"same": "same", "escalate": "x", "replan": "replan y"}
FAILED = Failure(1, "gate_failed", "gate_fail", agent="haiku", gate="test", failing=("test",), tree="t1")


def decisions(on_failure: OnFailure | None, sources: list[FailureSource], *, same_tree: bool = False) -> list[str]:
    """Return the decision after each failure. Each has its own tree unless `same_tree` is true."""
    tally, found = Tally(), []
    for number, source in enumerate(sources, start=1):
        failure = replace(FAILED, attempt=number, source=source, tree="t" if same_tree else f"t{number}")
        decision = decide(on_failure, tally, failure, compare_trees=True)
        if isinstance(decision, Restart):
            tally.enter()
            tally.restart_list(on_failure)
        found.append(_short(decision))
    return found


def _short(decision: Decision | None) -> str:
    match decision:
        case Retry():
            return decision.agent or "same"
        case Replan():
            return f"replan {decision.agent}"
        case Restart():
            return f"restart {decision.step}"
        case Stop():
            return decision.outcome or "stop"
        case None:
            return "stop"


def test_first_failure_is_final_without_a_policy() -> None:
    assert decisions(None, ["gate_fail"]) == ["stop"]


def test_entry_k_is_used_for_attempt_k_and_the_last_entry_repeats() -> None:
    on_failure = flat(6, "same: 2", "escalate: sonnet")
    assert decisions(on_failure, ["gate_fail"] * 6) == ["same", "sonnet", "sonnet", "sonnet", "sonnet", "stop"]


def test_documented_policy_restarts_after_the_escalation_and_ends_at_failure_5() -> None:
    on_failure = flat(5, "same: 3", "escalate: sonnet", restart_from="tests")
    assert decisions(on_failure, ["gate_fail"] * 5) == ["same", "same", "sonnet", "restart tests", "stop"]


def test_retry_below_the_length_of_the_list_ends_it_early() -> None:
    assert decisions(flat(2, "same: 3", "escalate: sonnet"), ["gate_fail"] * 2) == ["same", "stop"]


def test_branches_handle_their_own_failures() -> None:
    on_failure = OnFailure(
        gate_fail=policy(3, "same", "escalate: sonnet", "replan: opus"), review_fail=policy(2, "same: 2")
    )
    sources: list[FailureSource] = ["gate_fail", "review_fail", "guard_fail", "review_fail"]
    assert decisions(on_failure, sources) == ["sonnet", "same", "replan opus", "stop"]


def test_failure_without_a_branch_is_final() -> None:
    assert decisions(OnFailure(review_fail=policy(3, "same: 3")), ["gate_fail"]) == ["stop"]


def test_restart_of_one_branch_does_not_reset_the_list_of_another() -> None:
    on_failure = OnFailure(
        gate_fail=policy(5, "same", "escalate: sonnet", "escalate: opus"),
        review_fail=policy(5, "same", restart_from="code"),
    )
    assert decisions(on_failure, ["gate_fail", "review_fail", "gate_fail"]) == ["sonnet", "restart code", "opus"]


def test_no_progress_skips_to_the_next_different_entry() -> None:
    on_failure = flat(9, "same: 4", "escalate: sonnet", "same")
    assert decisions(on_failure, ["gate_fail"] * 3, same_tree=True) == ["same", "sonnet", "no_progress"]


def test_no_progress_skips_only_entries_that_repeat_the_attempt() -> None:
    changed = Entry(prompt="Try something else", session="fresh")
    on_failure = OnFailure(flat=Policy(retry=9, strategy=(Entry(), Entry(), Entry(), changed, changed)))
    tally = Tally()
    found = [decide(on_failure, tally, FAILED, compare_trees=True) for _ in range(3)]
    assert found[:2] == [Retry(), Retry(session="fresh", prompt="Try something else")]
    assert isinstance(found[2], Stop)


def test_last_entry_repeats_without_progress_unless_it_is_same() -> None:
    on_failure = flat(9, "same", "escalate: sonnet", "escalate: opus", "replan: haiku")
    found = decisions(on_failure, ["gate_fail"] * 5, same_tree=True)
    assert found == ["sonnet", "opus", "replan haiku", "replan haiku", "replan haiku"]


def test_no_progress_without_another_entry_stops_with_the_reason() -> None:
    tally, on_failure = Tally(), flat(9, "same: 9")
    decide(on_failure, tally, FAILED, compare_trees=True)
    stop = Stop("no progress: the same tree and the same failing checks twice in a row", "no_progress")
    assert decide(on_failure, tally, FAILED, compare_trees=True) == stop
    assert decide(on_failure, tally, FAILED, compare_trees=False) == Retry()


def test_final_failure_ends_the_step_and_is_counted() -> None:
    tally = Tally()
    assert decide(flat(9, "same: 9"), tally, replace(FAILED, final=True), compare_trees=True) is None
    assert (tally.failures, tally.streak) == ([replace(FAILED, final=True)], 1)


def test_no_progress_needs_the_same_tree_checks_and_agent() -> None:
    assert no_progress(FAILED, replace(FAILED, attempt=2))
    assert not no_progress(FAILED, replace(FAILED, tree="t2"))
    assert not no_progress(FAILED, replace(FAILED, failing=("lint",)))
    assert not no_progress(FAILED, replace(FAILED, agent="sonnet"))


def test_no_progress_does_not_apply_without_checks_or_tree() -> None:
    crashed = replace(FAILED, outcome="agent_error", failing=(), gate=None)
    assert not no_progress(crashed, crashed)
    assert not no_progress(replace(FAILED, tree=None), replace(FAILED, tree=None))


def test_failures_before_a_restart_are_not_compared_for_progress() -> None:
    on_failure = flat(5, "same", "same", restart_from="a")
    assert decisions(on_failure, ["gate_fail"] * 4, same_tree=True) == ["same", "restart a", "same", "restart a"]


def after(failing: str, number: int, *, tree: str | None = None, **fields: Any) -> Failure:
    """Return a failure of these gates, with a tree of its own unless `tree` is given."""
    return replace(FAILED, attempt=number, failing=tuple(failing.split()), tree=tree or f"t{number}", **fields)


def answers(own: Policy, *failing: str, same_tree: bool = False) -> list[str]:
    """Return the decision after each failure; every failure names its failing gates."""
    tally, found = Tally(), []
    for number, gates in enumerate(failing, start=1):
        failure = after(gates, number, tree="t" if same_tree else None)
        found.append(_short(decide(OnFailure(flat=own), tally, failure, compare_trees=True)))
        if found[-1].startswith("restart"):
            tally.enter()
            tally.restart_list(OnFailure(flat=own))
    return found


def conditional(retry: int, *entries: Entry, adds_first: bool = True, restart_from: str | None = None) -> Policy:
    return Policy(retry, (Entry(), *entries), restart_from, adds_first)


def escalate(agent: str, **conditions: Any) -> Entry:
    return Entry("escalate", agent, when=When(**conditions) if conditions else None)


TEST, LINT = When(gate=("test",)), When(gate=("compile", "lint"))


def test_first_unused_entry_that_fits_is_used_and_skipped_ones_stay() -> None:
    own = conditional(9, Entry(when=LINT), Entry(when=LINT), escalate("opus", gate=("test",)), escalate("sonnet"))
    found = answers(own, "test", "lint", "test", "compile", "lint", "test")
    assert found == ["opus", "same", "sonnet", "same", "sonnet", "sonnet"]


def test_step_ends_with_its_failure_if_no_entry_fits() -> None:
    own = conditional(9, escalate("opus", gate=("test",)))
    assert answers(own, "lint") == ["stop"]
    assert answers(own, "test", "test") == ["opus", "stop"]


def test_reason_of_a_decision_names_the_conditions_of_the_entry() -> None:
    own, tally = OnFailure(flat=conditional(9, Entry(when=LINT), escalate("opus", gate=("test",), attempt=2))), Tally()
    reasons = []
    for number, gates in enumerate(("test", "lint", "test"), start=1):
        decide(own, tally, after(gates, number), compare_trees=True)
        reasons.append(tally.reason)
    assert reasons == [
        "strategy: escalate: opus if test fails from attempt 2 on",
        "strategy: same if compile or lint fails",
        "no entry of the strategy fits this failure",
    ]
    decide(flat(9, "same: 9"), tally, FAILED, compare_trees=True)
    assert tally.reason == ""


def test_written_first_entry_repeats_but_an_added_one_does_not() -> None:
    entries = [escalate("opus", gate=("test",))]
    assert answers(conditional(9, *entries, adds_first=False), "lint", "test", "test") == ["same", "opus", "same"]
    assert answers(conditional(9, *entries), "lint") == ["stop"]


def test_gate_condition_fits_any_failing_gate_by_its_name_without_argument() -> None:
    own = conditional(9, escalate("opus", gate=("bash", "touched")))
    tally = Tally()
    failure = replace(FAILED, gate="compile", failing=("compile", "touched: src/**"))
    assert decide(OnFailure(flat=own), tally, failure, compare_trees=True) == Retry("opus", "fresh", "reset")


def test_no_change_is_not_a_failing_gate() -> None:
    failure = replace(FAILED, outcome="no_change", failing=("no_change",))
    assert not fits(When(gate=("no_change",)), failure, 2)


def test_attempt_condition_counts_the_attempts_since_the_step_was_entered() -> None:
    own = conditional(9, escalate("opus", attempt=3), Entry(), restart_from="tests")
    assert answers(own, *["test"] * 6) == ["same", "opus", "restart tests", "same", "opus", "restart tests"]


def test_all_conditions_must_hold() -> None:
    when = When(gate=("test",), attempt=3)
    assert fits(when, FAILED, 3)
    assert fits(when, FAILED, 4)
    assert not fits(when, FAILED, 2)
    assert not fits(when, replace(FAILED, failing=("lint",)), 3)


def test_validator_condition_fits_a_verdict_of_this_validator() -> None:
    refused = replace(
        FAILED, outcome="review_failed", source="review_fail", failing=("validate: arch-review (focus: errors)",)
    )
    assert fits(When(validate="arch-review"), refused, 2)
    assert not fits(When(validate="security"), refused, 2)
    assert not fits(When(gate=("test",)), refused, 2)
    assert not fits(When(validate="arch-review"), FAILED, 2)


def test_no_progress_uses_up_the_same_entries_that_fit() -> None:
    own = conditional(9, Entry(when=TEST), Entry(when=LINT), Entry(when=TEST), escalate("opus", gate=("test",)))
    assert answers(own, "test", "test", "lint", same_tree=True) == ["same", "opus", "same"]


def test_no_progress_with_only_same_entries_that_fit_stops_with_the_reason() -> None:
    own = conditional(9, Entry(when=TEST), Entry(when=TEST), escalate("opus", gate=("lint",)))
    assert answers(own, "test", "test", same_tree=True) == ["same", "no_progress"]
    assert answers(conditional(9, Entry(when=TEST)), "test", "test", same_tree=True) == ["same", "stop"]


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(["same", "escalate"]), st.sampled_from([None, TEST, LINT, When(attempt=3)]))),
    st.booleans(),
    st.lists(st.sampled_from(["test", "lint", "compile", "other"]), max_size=10),
)
def test_each_entry_answers_one_failure_that_it_fits_and_only_the_last_one_repeats(
    retry: int, listed: list[tuple[Any, When | None]], adds_first: bool, failing: list[str]
) -> None:
    entries = [Entry(kind, f"agent{place}", when=when) for place, (kind, when) in enumerate(listed)]
    entries = [replace(entry, prompt=f"{place}") for place, entry in enumerate(entries)]  # tells them apart
    own, tally, unused = conditional(retry, *entries, adds_first=adds_first), Tally(), [*entries]
    for number, gates in enumerate(failing, start=1):
        failure = after(gates, number)
        decision = decide(OnFailure(flat=own), tally, failure, compare_trees=True)
        fitting = next((entry for entry in unused if fits(entry.when, failure, number + 1)), None)
        wanted = fitting or own.last
        if number >= retry or wanted is None:
            assert decision == (None if number >= retry else Stop())
            break
        assert decision == to_decision(wanted)
        unused = [entry for entry in unused if entry is not fitting]


@given(
    st.lists(st.tuples(st.sampled_from(["same", "escalate"]), st.sampled_from([None, TEST, LINT, When(attempt=3)]))),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["test", "lint"]), st.booleans()), max_size=8),
)
def test_attempt_without_progress_is_never_repeated_and_progress_never_ends_a_step(
    listed: list[tuple[Any, When | None]], adds_first: bool, failures: list[tuple[str, bool]]
) -> None:
    entries = [
        Entry(kind, f"agent{place}" if kind == "escalate" else None, when=when)
        for place, (kind, when) in enumerate(listed)
    ]
    own, tally, before = OnFailure(flat=conditional(9, *entries, adds_first=adds_first)), Tally(), None
    for number, (gates, is_same_tree) in enumerate(failures, start=1):
        failure = after(gates, number, tree="t" if is_same_tree else None)
        is_stuck = before is not None and no_progress(before, failure)
        decision = decide(own, tally, failure, compare_trees=True)
        assert decision != Retry() or not is_stuck
        if isinstance(decision, Retry):
            before = failure
            continue
        assert decision is None or is_stuck or decision == Stop()
        return


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (Entry(), Retry(worktree="keep")),
        (Entry(session="fresh", worktree="reset"), Retry(session="fresh", worktree="reset")),
        (Entry(prompt="p"), Retry(prompt="p")),
        (Entry(agent="x"), Retry()),
        (Entry(kind="escalate", agent="x"), Retry("x", session="fresh", worktree="reset")),
        (Entry(kind="escalate", agent="x", worktree="keep", prompt="p"), Retry("x", session="fresh", prompt="p")),
        (Entry(kind="replan", agent="x"), Replan("x", session="fresh", worktree="reset")),
    ],
)
def test_entry_is_converted_to_a_decision(entry: Entry, wanted: Retry | Replan) -> None:
    on_failure = OnFailure(flat=replace(policy(3), strategy=(Entry(), entry)))
    assert decide(on_failure, Tally(), FAILED, compare_trees=True) == wanted


@given(
    st.integers(1, 6),
    st.lists(st.sampled_from(["same", "same: 2", "escalate: x", "replan: y"]), max_size=4),
    st.none() | st.just("a"),
    st.lists(st.tuples(st.sampled_from(["gate_fail", "guard_fail", "review_fail"]), st.booleans()), max_size=12),
)
def test_flat_policy_never_allows_more_failures_than_retry(
    retry: int, strategy: list[str], restart_from: str | None, failures: list[tuple[FailureSource, bool]]
) -> None:
    on_failure, tally = flat(retry, "same", *strategy, restart_from=restart_from), Tally()
    for number, (source, is_new_tree) in enumerate(failures, start=1):
        failure = replace(FAILED, source=source, tree=f"t{number}" if is_new_tree else "t")
        decision = decide(on_failure, tally, failure, compare_trees=True)
        assert (decision is None) == (number >= retry)
        if isinstance(decision, Restart):
            tally.enter()
            tally.restart_list(on_failure)


@pytest.mark.parametrize("form", ["flat", "gate_fail"])
@given(
    st.integers(1, 6),
    st.lists(st.sampled_from(["same", "escalate: x", "replan: y"]), max_size=4),
    st.lists(st.booleans(), max_size=6),
)
def test_both_forms_use_entry_j_plus_1_after_failure_j_and_end_at_failure_retry(
    form: str, retry: int, strategy: list[str], others: list[bool]
) -> None:
    own = policy(retry, "same", *strategy)
    on_failure = OnFailure(**{form: own, **({} if form == "flat" else {"review_fail": policy(9, "same")})})
    tally, number, found = Tally(), 0, []
    for is_other in [*others, *[False] * retry]:
        number += 1
        if is_other and form == "flat":  # a flat policy counts every kind
            continue
        source: FailureSource = "review_fail" if is_other else "gate_fail"
        failure = replace(FAILED, attempt=number, source=source, tree=f"t{number}")
        decision = decide(on_failure, tally, failure, compare_trees=True)
        if not is_other:
            found.append(_short(decision))
    entries = [*own.strategy[1:], *[own.strategy[-1]] * retry]
    assert found[:retry] == [*(_NAMES[entry.kind] for entry in entries[: retry - 1]), "stop"]


@given(
    st.integers(1, 4),
    st.lists(st.sampled_from(["same", "escalate: x", "replan: x"]), max_size=4),
    st.none() | st.just("a"),
)
def test_entry_noted_as_unused_is_used_in_no_sequence_of_failures(
    retry: int, strategy: list[str], restart_from: str | None
) -> None:
    entries = [entry if entry == "same" else f"{entry}{place}" for place, entry in enumerate(strategy)]
    own = policy(retry, "same", *entries, restart_from=restart_from)
    used = set().union(*(_used(own, same_trees) for same_trees in product((True, False), repeat=retry)))
    wanted = {_answer_to(entry) for entry in own.strategy[1:]} | ({"restart a"} if restart_from else set())
    unused = unreached_by(own)
    if unused is not None:
        answers = {f"{entry.kind}: {entry.agent}": _answer_to(entry) for entry in own.strategy}
        assert answers.get(unused, "restart a") in wanted - used
    elif retry <= 2:
        assert wanted - {"same"} <= used


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["same", "escalate"]), st.sampled_from([None, TEST, LINT])), max_size=4),
    st.none() | st.just("a"),
)
def test_conditional_entry_noted_as_unused_is_used_in_no_sequence_of_failures(
    retry: int, listed: list[tuple[Any, When | None]], restart_from: str | None
) -> None:
    entries = [Entry(kind, f"agent{number}", when=when) for number, (kind, when) in enumerate(listed)]
    own = conditional(retry, *entries, restart_from=restart_from)
    unused = unreached_by(own)
    sequences = product(product((True, False), ("test", "lint")), repeat=retry)
    used = {answer for sequence in sequences for answer in _answers_to(own, sequence)}
    escalations = [(entry.name, entry.agent) for entry in entries if entry.kind == "escalate"]
    wanted = dict(
        [*escalations, *([(f"restart_from: {restart_from}", f"restart {restart_from}")] if restart_from else [])]
    )
    assert unused is None or wanted[unused] not in used


@given(
    st.integers(1, 6),
    st.lists(st.sampled_from([None, TEST, LINT, *(When(attempt=number) for number in range(2, 6))]), max_size=4),
    st.none() | st.just("a"),
    st.booleans(),
)
def test_number_of_attempts_known_at_load_is_that_of_failures_of_all_gates(
    retry: int, conditions: list[When | None], restart_from: str | None, adds_first: bool
) -> None:
    entries = [Entry(when=when) for when in conditions]
    own = conditional(retry, *entries, adds_first=adds_first, restart_from=restart_from)
    decided = answers(own, *["test lint"] * retry)
    made = next(number for number, answer in enumerate(decided, start=1) if answer != "same")
    assert most_attempts(OnFailure(flat=own)) == made


@pytest.mark.parametrize(
    ("own", "trees", "expected"),
    [
        (Policy(5, (Entry(), Entry(prompt="again"))), "abcc", ["same", "same", "same", "no_progress"]),
        (Policy(5, (Entry(), Entry(when=When(attempt=5))), "tests"), "ab", ["restart tests"] * 2),
    ],
)
def test_an_answer_without_conditions_has_no_reason(own: Policy, trees: str, expected: list[str]) -> None:
    tally, found = Tally(), []
    for number, tree in enumerate(trees, start=1):
        decision = decide(OnFailure(flat=own), tally, replace(FAILED, attempt=number, tree=tree), compare_trees=True)
        found.append(_short(decision))
        assert tally.reason == ""
    assert found == expected


def _answers_to(own: Policy, sequence: tuple[tuple[bool, str], ...]) -> list[str]:
    tally, found = Tally(), []
    for number, (is_same_tree, gate) in enumerate(sequence, start=1):
        failure = after(gate, number, tree="t" if is_same_tree else None)
        found.append(_short(decide(OnFailure(flat=own), tally, failure, compare_trees=True)))
    return found


def _answer_to(entry: Entry) -> str:
    return {"same": "same", "escalate": entry.agent or "", "replan": f"replan {entry.agent}"}[entry.kind]


def _used(own: Policy, same_trees: tuple[bool, ...]) -> set[str]:
    tally, used = Tally(), set()
    for number, is_same_tree in enumerate(same_trees, start=1):
        failure = replace(FAILED, attempt=number, tree="t" if is_same_tree else f"t{number}")
        used.add(_short(decide(OnFailure(flat=own), tally, failure, compare_trees=True)))
    return used
