from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
from pytest_gump.engine.reporting.report_data import report_data
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.system.git.changes import ChangedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSED = AttemptResult("impl", 1, Outcome.PASSED, "", "claude-haiku", Timings(started=0.0, total_s=1.5))
FAILED = replace(PASSED, outcome=Outcome.GATE_FAILED, reason="test failed: 2 failed")


def run(attempts: Sequence[tuple[str, str, str, AttemptResult | None]]) -> RunRecord:
    """Return a record of attempts, each given as step, entry, verdict and result."""
    record = RunRecord(run_id="r", workflow="w", spec="s.md", base="0" * 40, head="0" * 40, started=0.0)
    for number, (path, entry, verdict, result) in enumerate(attempts, 1):
        step = record.steps.setdefault(path, StepRecord(path, "diff"))
        attempt = AttemptRecord(number, path, len(step.attempts) + 1, "diff", "claude-haiku", entry, 0.0)
        attempt.verdict = verdict
        if result is not None:
            attempt.finish(to_wire(result))
        record.attempts.append(attempt)
        step.attempts.append(attempt)
    return record


def data(record: RunRecord) -> dict[str, Any]:
    return {**report_data(record, {}, state="passed")}


def because(record: RunRecord) -> list[str | None]:
    reports = [one for step in data(record)["steps"] for one in step["attempts"]]
    return [one["because"] for one in sorted(reports, key=lambda one: int(one["number"]))]


def test_retry_is_because_of_the_attempt_before_it() -> None:
    record = run([("impl", "first", "retried", FAILED), ("impl", "same", "passed", PASSED)])
    assert because(record) == [None, "attempt 1: test failed: 2 failed"]


def test_restart_is_because_of_the_failure_of_the_later_step() -> None:
    record = run(
        [
            ("tests", "first", "passed", PASSED),
            ("impl", "first", "again", FAILED),
            ("tests", "restart", "passed", PASSED),
            ("impl", "restart", "passed", PASSED),
        ]
    )
    answered = "attempt 1: test failed: 2 failed"
    assert because(record) == [None, None, f"impl {answered}", answered]


def scoped(record: RunRecord, *scopes: str) -> RunRecord:
    for attempt, scope in zip(record.attempts, scopes, strict=True):
        attempt.scope = scope
    return record


def test_new_pass_of_a_group_is_because_of_the_first_failed_member_in_plan_order() -> None:
    late, early = replace(FAILED, reason="two is wrong"), replace(FAILED, reason="one is wrong")
    record = run(
        [
            ("side::one", "first", "retried", FAILED),
            ("side::two", "first", "again", late),
            ("side::one", "same", "again", early),  # the last member to end: the group decides here
            ("side::one", "group", "passed", PASSED),
            ("side::two", "group", "passed", PASSED),
        ]
    )
    scoped(record, "side::one", "side::two", "side", "side::one", "side::two")
    assert because(record)[3:] == ["attempt 2: one is wrong", "side::one attempt 2: one is wrong"]
    scoped(record, "side::one", "side", "side::one", "side::one", "side::two")  # the other member ended last
    assert because(record)[3:] == ["attempt 2: one is wrong", "side::one attempt 2: one is wrong"]


def test_members_are_in_plan_order_and_not_in_the_order_of_their_last_steps() -> None:
    record = run(
        [
            ("build::tests[a]", "first", "passed", PASSED),
            ("build::tests[b]", "first", "again", replace(FAILED, reason="b is wrong")),
            ("build::impl[a]", "first", "again", replace(FAILED, reason="a is wrong")),
            ("build::tests[a]", "group", "passed", PASSED),
            ("build::tests[b]", "group", "passed", PASSED),
        ]
    )
    scoped(record, "build::tests[a]", "build::tests[b]", "build", "build::tests[a]", "build::tests[b]")
    assert because(record)[3:] == ["build::impl[a] attempt 1: a is wrong"] * 2


def test_restart_in_a_member_is_not_because_of_the_failure_of_another_member() -> None:
    record = run(
        [
            ("build::tests[a]", "first", "passed", PASSED),
            ("build::impl[a]", "first", "again", replace(FAILED, reason="a is wrong")),
            ("build::tests[b]", "first", "again", replace(FAILED, reason="b is wrong")),
            ("build::tests[a]", "restart", "passed", PASSED),
        ]
    )
    scoped(record, "build::tests[a]", "build::impl[a]", "build::tests[b]", "build::tests[a]")
    assert because(record)[3] == "build::impl[a] attempt 1: a is wrong"


def test_attempt_without_a_result_is_reported_as_running() -> None:
    report = data(run([("impl", "first", "", None)]))
    assert report["steps"][0]["attempts"][0]["outcome"] == "running"
    assert report["totals"]["attempts"] == 0


def test_files_and_lines_of_a_step_are_from_its_last_attempt() -> None:
    changed = (ChangedFile("a.py", "added", 3, 0), ChangedFile("b.bin", "modified"))
    step = data(run([("impl", "first", "passed", replace(PASSED, changed=changed))]))["steps"][0]
    assert (step["files_changed"], step["lines_added"], step["lines_removed"]) == (2, 3, 0)
    assert step["files"][1] == {"path": "b.bin", "status": "modified", "added": None, "removed": None}


def test_total_cost_is_partly_unknown_if_the_cost_of_an_attempt_is() -> None:
    known = replace(PASSED, usage=Usage(cost_usd=0.5, provenance="estimated", turns=1))
    unknown = replace(PASSED, usage=Usage(turns=1))
    report = data(run([("a", "first", "passed", known), ("b", "first", "passed", unknown)]))
    assert report["totals"]["cost"] == {"usd": 0.5, "provenance": "partly_unknown", "unknown_attempts": 1}
    assert report["steps"][0]["totals"]["cost"]["provenance"] == "estimated"


def test_context_of_a_total_is_the_largest_of_its_attempts() -> None:
    results = [replace(PASSED, usage=Usage(turns=1, context_tokens=context)) for context in (90_000, 154_000, 0)]
    report = data(run([(path, "first", "passed", result) for path, result in zip("aab", results, strict=True)]))
    reported = [one["context_tokens"] for step in report["steps"] for one in step["attempts"]]
    assert reported == [90_000, 154_000, 0]
    assert [step["totals"]["context_tokens"] for step in report["steps"]] == [154_000, 0]
    assert report["totals"]["context_tokens"] == report["agents"][0]["context_tokens"] == 154_000


def test_recorded_result_without_a_context_is_read_with_the_default() -> None:
    result = replace(PASSED, usage=Usage(Tokens(input=5), cost_usd=0.5, provenance="reported", turns=2))
    wire = json.loads(json.dumps(to_wire(result)))
    del wire["usage"]["context_tokens"]
    attempt = AttemptRecord(1, "impl", 1, "diff", "claude-haiku", "first", 0.0)
    attempt.finish(wire)
    assert attempt.usage == result.usage
    assert attempt.result == result


COUNT = st.integers(0, 10**9)
USAGE = st.builds(
    Usage,
    tokens=st.builds(Tokens, COUNT, COUNT, COUNT, COUNT, COUNT),
    cost_usd=st.none() | st.floats(0, 1000, allow_nan=False),
    turns=COUNT,
    tool_calls=COUNT,
)
VERDICTS = st.sampled_from(["passed", "retried", "escalated", "again", "failed"])


@given(st.lists(st.tuples(st.sampled_from(["a", "b::c[x]"]), VERDICTS, USAGE), max_size=8))
def test_totals_of_run_steps_and_agents_count_all_attempts(drawn: list[tuple[str, str, Usage]]) -> None:
    record = run([(path, "first", verdict, replace(FAILED, usage=usage)) for path, verdict, usage in drawn])
    report = json.loads(json.dumps(data(record)))
    usages = [usage for _, _, usage in drawn]
    for sums in ([report["totals"]], [step["totals"] for step in report["steps"]], report["agents"]):
        assert sum(one["attempts"] for one in sums) == len(usages)
        assert sum(one["turns"] for one in sums) == sum(usage.turns for usage in usages)
        assert sum(one["tool_calls"] for one in sums) == sum(usage.tool_calls for usage in usages)
        assert sum(one["tokens"]["total"] for one in sums) == sum(usage.tokens.total for usage in usages)
        assert abs(sum(one["cost"]["usd"] for one in sums) - sum(usage.cost_usd or 0.0 for usage in usages)) < 1e-4


def test_waits_and_failovers_are_not_counted_as_retries() -> None:
    limited = replace(PASSED, outcome=Outcome.QUOTA, reason="limit reached", resets_at=3600.0)
    attempts = [("impl", "first", "waited", limited), ("impl", "first", "failover", limited)]
    report = data(run([*attempts, ("impl", "first", "passed", PASSED)]))
    totals = report["totals"]
    assert (totals["attempts"], totals["waits"], totals["failovers"]) == (3, 1, 1)
    assert (totals["retries"], totals["escalations"], report["steps"][0]["retries"]) == (0, 0, 0)
    reported = [one["resets_at"] for one in report["steps"][0]["attempts"]]
    assert reported == ["1970-01-01T01:00:00+00:00", "1970-01-01T01:00:00+00:00", None]


def test_reset_time_of_a_limit_that_is_not_a_valid_date_is_none() -> None:
    for odd in (1e300, float("nan"), float("inf"), -1.0):
        limited = replace(PASSED, outcome=Outcome.QUOTA, resets_at=odd)
        report = data(run([("impl", "first", "failed", limited)]))
        assert report["steps"][0]["attempts"][0]["resets_at"] is None
