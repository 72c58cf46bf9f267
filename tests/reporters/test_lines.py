"""The text of lines about attempts and runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_gump.agents.usage import Total, Usage
from pytest_gump.engine.record.approvals import Given, Question
from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
from pytest_gump.engine.schedule.records import LeafState
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.reporters.lines import (
    attempt_lines,
    columns_for,
    command_lines,
    failed_lines,
    groups_around,
    more_money_text,
    next_commands,
    reuse_lines,
    run_line,
    waiting_lines,
)
from pytest_gump.text import UNICODE, width
from pytest_gump.workflow.path import StepPath

USED = Usage(cost_usd=0.0094, provenance="reported", turns=1)
PASSED = AttemptResult("impl", 1, Outcome.PASSED, "", "claude-haiku", Timings(0.0, 1.5), usage=USED)
FAILED = replace(PASSED, outcome=Outcome.GATE_FAILED, reason="test failed: 2 failed")


def attempt(result: AttemptResult, *, step: str = "impl", number: int = 1, mode: str = "diff") -> AttemptRecord:
    record = AttemptRecord(number, step, number, mode, result.agent, "first", 0.0)
    record.finish(to_wire(result))
    record.verdict = "passed" if result.passed else "retried"
    return record


def run(*attempts: AttemptRecord) -> RunRecord:
    record = RunRecord(run_id="r", status="passed", attempts=[*attempts], finished=1.0)
    for one in attempts:
        record.steps.setdefault(one.step, StepRecord(one.step, one.mode)).attempts.append(one)
    return record


def test_a_narrow_terminal_omits_the_agent_before_it_wraps() -> None:
    wide, narrow = (attempt_lines(attempt(PASSED), PASSED, UNICODE, columns) for columns in (80, 60))
    assert [line.split() for line in wide] == [
        ["✓", "impl", "claude-haiku", "diff", "1", "turn", "$0.0094", "1.5s"],
    ]
    assert [line.split() for line in narrow] == [["✓", "impl", "diff", "1", "turn", "$0.0094", "1.5s"]]


def test_a_reason_is_complete_on_a_line_of_its_own() -> None:
    lines = attempt_lines(attempt(FAILED), FAILED, UNICODE, 60)
    assert len(lines) == 2
    assert lines[1] == "    test failed: 2 failed"


def test_long_names_do_not_move_columns() -> None:
    agents = ["claude-haiku", "openai-compatible-model", "a-name-that-is-longer-than-any-column-may-be"]
    layout = columns_for([StepPath(("impl",)), StepPath(("a-very-long-name-of-a-step",))], agents)
    results = [replace(PASSED, agent=agent) for agent in agents]
    lines = [line for one in results for line in attempt_lines(attempt(one), one, UNICODE, 120, layout)]
    lines += attempt_lines(attempt(PASSED, step="a-very-long-name-of-a-step"), PASSED, UNICODE, 120, layout)
    assert len({line.index(" diff ") for line in lines}) == 1
    assert len({width(line) for line in lines}) == 1
    assert "a-name-that-is-longer-.." in lines[2]


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ([GateResult("compile", "passed"), GateResult("lint", "passed")], "gate           compile + lint  pass"),
        ([], "gate           passed"),
    ],
)
def test_a_step_without_an_agent_shows_that_its_gates_pass(gates: list[GateResult], expected: str) -> None:
    result = replace(PASSED, agent=None, gates=tuple(gates), usage=Usage())
    (line,) = attempt_lines(attempt(result, mode="gate", step="quality"), result, UNICODE, 80)
    assert line == f"✓ quality           {expected}"


def test_steps_of_a_plain_parallel_group_are_counted_as_steps() -> None:
    merges = (
        attempt(replace(PASSED, usage=Usage()), step=f"both::merge[{name}]", mode="merge") for name in ("one", "two")
    )
    record = run(attempt(PASSED, step="both::one"), attempt(PASSED, step="both::two"), *merges)
    assert run_line(record, UNICODE).startswith("run passed — 2 steps, $0.0188, ")


def test_steps_of_plan_items_are_counted() -> None:
    items = [attempt(PASSED, step=f"build::{name}[{item}]") for item in "ab" for name in ("tests", "impl")]
    record = run(attempt(PASSED, step="decompose", mode="plan"), *items, attempt(PASSED, step="quality", mode="gate"))
    assert run_line(record, UNICODE).startswith("run passed — 2 items, 4 steps, ")


def test_the_commands_to_run_next_are_aligned_and_complete() -> None:
    long = "gump log 'build::impl[a-rather-long-item]'"
    lines = command_lines([(long, "what the agent did"), ("gump report", "full metrics")], UNICODE)
    assert lines[0] == f"→ {long}  what the agent did"
    assert lines[0].index("what") == lines[1].index("full")
    assert command_lines([("gump report", "full metrics")], UNICODE) == [f"→ {'gump report':<31}  full metrics"]


def test_each_retry_of_a_group_is_counted_once() -> None:
    attempts = [attempt(FAILED, step="g::a"), attempt(FAILED, step="g::b"), attempt(PASSED, step="g::a", number=2)]
    for one, decided in zip(attempts[:2], ("stop", "retry"), strict=True):
        one.verdict, one.decided = "again", decided
    assert ", 1 retry, " in run_line(run(*attempts), UNICODE)


@pytest.mark.parametrize(
    ("total", "text"),
    [
        (Total(cost_usd=1.5), "resume with a higher budget"),
        (Total(cost_usd=0.0, presumed_usd=3.0), "resume with a higher budget; unknown costs count as $3.00"),
    ],
)
def test_the_hint_for_a_spent_budget_names_presumed_costs(total: Total, text: str) -> None:
    assert more_money_text(total) == text


@pytest.mark.parametrize(
    ("step", "groups"),
    [
        ("impl", []),
        ("ways::each::rev::look[alpha]", ["ways", "ways::each[alpha]", "ways::each::rev[alpha]"]),
        ("ways::merge[each]", ["ways[each]"]),
        ("ways::each::merge[alpha]", ["ways", "ways::each[alpha]"]),
        ("ways::each::inner::fix[alpha--one]", ["ways", "ways::each[alpha]", "ways::each::inner[alpha--one]"]),
        ("ways::each::fix--replan::item[alpha--one]", ["ways", "ways::each[alpha]", "ways::each::fix--replan[alpha--one]"]),
    ],
)  # fmt: skip
def test_the_groups_around_a_step_have_the_items_around_them(step: str, groups: list[str]) -> None:
    foreach = {"ways::each", "ways::each::inner"}
    assert [str(group) for group in groups_around(StepPath.parse(step), foreach)] == groups


def test_each_step_of_a_resumed_run_has_a_line() -> None:
    paths = [StepPath((name,)) for name in ("one", "two", "three", "four", "five", "six", "seven")]
    leaves = [
        LeafState(paths[0], "passed", 1),
        LeafState(paths[1], "running", 1),
        LeafState(paths[2], "running", 1, validators=("arch", "size")),
        LeafState(paths[3], "running", 1, validators=()),
        LeafState(paths[4], "failed", 1),
        LeafState(paths[5], "pending", 0),
        LeafState(paths[6], "running", 1),
    ]
    record = run(attempt(PASSED, step="seven"))
    record.attempts[0].verdict = "awaiting"
    question = Question(1, "seven", "b", "c", "tree", since=0.0, expires=None, show=())
    record.approvals.questions[1] = question
    assert "→ seven to approve" in " ".join(reuse_lines(record, leaves, {}, UNICODE)[-1].split())
    record.approvals.answer({"by": "Ada", "at": 1.0, **Given(approved=True, by="Ada").about(question)})
    lines = reuse_lines(record, leaves, {paths[1]: "prompt\nchanged"}, UNICODE)
    assert [" ".join(line.split()) for line in lines] == [
        "✓ one reused", "○ two re-run: prompt changed", "→ three to check by arch, size", "→ four to approve",
        "✗ five failed", "→ six to do", "→ seven approved by Ada",
    ]  # fmt: skip


def test_a_run_that_waits_also_shows_what_failed_and_why() -> None:
    """A member of a parallel group has failed for good, and another one waits for a person."""
    record = run(AttemptRecord(1, "all::a", 1, "diff", "claude", "first", 0.0, verdict="awaiting"))
    record.status, record.steps["all::a"].status = "awaiting", "awaiting"
    record.steps["all::a"].ended, record.steps["all::a"].reason = "awaiting", "waits for approval of abc"
    record.steps["all::b"] = StepRecord("all::b", "diff", status="failed", reason="it broke", ended="gate_failed")
    question = Question(1, "all::a", "base", "commit", "tree", 1.0, None, ())
    record.approvals.ask({"event": "awaiting", **question._asdict()})
    assert failed_lines(record, UNICODE, 80) == ["✗ all::b: gate_failed: it broke"]
    assert waiting_lines(record, UNICODE, 80) == ["… all::a: awaiting: waits for approval of abc"]
    assert next_commands(record, is_only=True) == [
        ("gump log 'all::b'", "what the agent did, and why it failed"),
        ("gump diff all::a", "what to approve"),
        ("gump approve", 'approve it, or add --reject "why"'),
        ("pytest --gump-resume", "then continue the run"),
    ]
    assert next_commands(record, is_only=False)[-1] == ("pytest --gump-resume=r", "then continue the run")
