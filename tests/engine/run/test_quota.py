from __future__ import annotations

from typing import Any

import pytest
from pytest_gump.agents.usage import Usage
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.records import AttemptRecord, RunRecord
from pytest_gump.engine.run.order_builder import RunInputs
from pytest_gump.engine.run.quota import Limited, Quota, Repeat, met_limit
from pytest_gump.engine.schedule.records import Ready
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.reporters.live_line import Running, live_line, waits_text
from pytest_gump.settings.settings import Settings
from pytest_gump.text import ASCII
from pytest_gump.workflow.model import Step, Workflow
from pytest_gump.workflow.path import StepPath

HOUR = 3600.0
NOW = 1_772_630_400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def waiting(clock: Clock, **settings: float) -> Quota:
    return Quota(Settings(on_quota="wait", **settings), clock)  # type: ignore[arg-type]


def limited(clock: Clock, resets_at: float | None = None, *, run: str = "r1", cli: str = "claude") -> Limited:
    return Limited(run, f"{cli}-x", cli, clock.now, resets_at)


def until(decided: Repeat | str) -> float:
    assert isinstance(decided, Repeat), decided
    assert decided.verdict == "waited"
    assert decided.until is not None
    return decided.until - NOW


def test_reason_names_the_end_of_the_limit_and_the_option_to_resume(clock: Clock) -> None:
    decided = Quota(Settings(), clock).decide(limited(clock, NOW + 2 * HOUR))
    assert isinstance(decided, str)
    assert decided.startswith("the limit lasts until ")
    assert decided.endswith(" (in 2h00m); pytest --gump-resume continues the run")
    assert Quota(Settings(), clock).decide(limited(clock)) == "pytest --gump-resume continues the run"


def test_wait_ends_a_margin_after_the_reset_time(clock: Clock) -> None:
    quota = waiting(clock)
    assert until(quota.decide(limited(clock, NOW + 600))) == 630
    assert not quota.is_free("claude")
    assert quota.is_free("codex")
    assert [*quota.waits()] == [("claude", 630.0)]
    clock.now += 631
    assert [*quota.waits()] == [("claude", 0.0)]
    clock.now -= 631
    clock.now += 629
    assert not quota.end_waits()
    clock.now += 1
    assert quota.end_waits()
    assert quota.is_free("claude")


def test_waits_without_a_reset_time_double(clock: Clock) -> None:
    quota, waits = waiting(clock), []
    for _ in range(8):
        waits.append(until(quota.decide(limited(clock))) + NOW - clock.now)
        clock.now += waits[-1]
        quota.end_waits()
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_waits_double_after_wrong_reset_times(clock: Clock) -> None:
    quota, waits = waiting(clock), []
    for _ in range(4):
        waits.append(until(quota.decide(limited(clock, clock.now))) + NOW - clock.now)
        clock.now += waits[-1]
        quota.end_waits()
    assert waits == [30, 60, 120, 240]


@pytest.mark.parametrize(("stated", "margin", "wait"), [(0, 5, 5), (-100, 30, 30), (-100, 0.5, 0.5), (60, 5, 65)])
def test_wait_for_a_past_or_near_reset_time_includes_the_margin(
    clock: Clock, stated: float, margin: float, wait: float
) -> None:
    quota = waiting(clock, quota_margin_s=margin)
    decided = quota.decide(limited(clock, NOW + stated))
    assert until(decided) == wait
    assert isinstance(decided, Repeat)
    assert decided.why.startswith("waits for the limit of claude until ")


def test_wait_is_not_shortened_by_an_earlier_reset_time(clock: Clock) -> None:
    quota = waiting(clock)
    assert until(quota.decide(limited(clock, NOW + 600))) == 630
    assert until(quota.decide(limited(clock, NOW + 10))) == 630


def test_passed_attempt_resets_the_waits(clock: Clock) -> None:
    quota = waiting(clock)
    quota.decide(limited(clock))
    clock.now += 60
    quota.end_waits()
    quota.passed("claude")
    quota.passed("codex")  # never reached a limit
    assert until(quota.decide(limited(clock))) == 120  # 60 s after the start, for 60 s


def test_waits_of_attempts_for_the_same_limit_are_counted_once(clock: Clock) -> None:
    quota = waiting(clock, quota_wait_s=100.0)
    both = [limited(clock), limited(clock)]
    assert [until(quota.decide(one)) for one in both] == [60, 60]
    clock.now += 1
    assert until(quota.decide(both[1])) == 61


def test_run_does_not_wait_longer_than_the_maximum(clock: Clock) -> None:
    quota = waiting(clock, quota_wait_s=HOUR)
    reason = quota.decide(limited(clock, NOW + HOUR))
    assert isinstance(reason, str)
    assert reason.endswith(
        " (in 1h00m); gump_quota_wait allows 1h00m of waiting in total; pytest --gump-resume continues the run"
    )
    assert quota.is_free("claude")
    assert until(quota.decide(limited(clock, NOW + HOUR - 30))) == HOUR
    clock.now += HOUR
    quota.end_waits()
    assert isinstance(quota.decide(limited(clock)), str)
    assert isinstance(quota.decide(limited(clock, run="r2")), Repeat)


def test_other_agent_replaces_an_agent_at_its_limit_unless_it_is_at_its_limit_too(clock: Clock) -> None:
    quota = Quota(Settings(on_quota="codex"), clock)
    assert quota.decide(limited(clock)) == Repeat("failover", "failover to codex", "codex")
    reason = quota.decide(Limited("r1", "codex", "codex", NOW))
    assert reason == "codex has no quota left either; pytest --gump-resume continues the run"


def test_resumed_run_waits_for_a_recorded_reset_time_in_the_future(clock: Clock) -> None:
    assert waiting(clock).recall(limited(clock)) is None
    assert waiting(clock).recall(limited(clock, NOW)) is None
    decided = waiting(clock).recall(limited(clock, NOW + 600))
    assert decided is not None
    assert until(decided) == 630


def test_resumed_run_that_may_not_wait_reports_the_end_of_the_limit(clock: Clock) -> None:
    for quota in (Quota(Settings(), clock), Quota(Settings(on_quota="codex"), clock), waiting(clock, quota_wait_s=60)):
        reason = quota.recall(limited(clock, NOW + 600))
        assert isinstance(reason, str)
        assert reason.startswith("claude reported that its limit lasts until ")
        assert reason.endswith(" (in 10m)")
        assert quota.is_free("claude")


def step_record(*attempts: AttemptRecord) -> RunRecord:
    return RunRecord(attempts=[*attempts])


def made(outcome: Outcome, *, step: str = "a", agent: str | None = "claude-x", resets_at: float = 0) -> AttemptRecord:
    attempt = AttemptRecord(7, step, 2, "diff", agent, "first", NOW - 60)
    attempt.set_result(AttemptResult(step, 2, outcome, "", agent, Timings(NOW, 1.0), resets_at=resets_at or None))
    return attempt


def ready(agent: str | None = "claude-x") -> Ready:
    return Ready(StepPath(("a",)), Step("a"), 3, agent, "diff", "base", "base")


INPUTS = RunInputs("r1", Workflow("w", ()), {}, "s", b"", "base", (), Settings(), lambda name: f"cli of {name}", {})


@pytest.mark.parametrize(("stated", "resets_at"), [(0, None), (NOW + 600, NOW + 600), (NOW + 1e9, None)])
def test_limit_is_found_in_the_newest_attempt_of_the_step(stated: float, resets_at: float | None) -> None:
    record = step_record(made(Outcome.PASSED), made(Outcome.QUOTA, resets_at=stated), made(Outcome.PASSED, step="b"))
    limit = Limited("r1", "claude-x", "cli of claude-x", NOW - 60, resets_at)
    assert met_limit(INPUTS, record, ready(), NOW) == (7, limit)


@pytest.mark.parametrize(
    "attempts",
    [
        (),
        (made(Outcome.QUOTA, step="b"),),
        (made(Outcome.QUOTA), made(Outcome.GATE_FAILED)),
        (made(Outcome.QUOTA, agent="codex"),),
        (made(Outcome.QUOTA), AttemptRecord(8, "a", 3, "diff", "claude-x", "first", NOW)),
    ],
)
def test_limits_of_other_attempts_are_ignored(attempts: tuple[AttemptRecord, ...]) -> None:
    assert met_limit(INPUTS, step_record(*attempts), ready(), NOW) == (0, None)


def test_attempt_without_an_agent_has_no_limit() -> None:
    assert met_limit(INPUTS, step_record(made(Outcome.QUOTA, agent=None)), ready(None), NOW) == (0, None)


# -- in the ledger -------------------------------------------------------------------------------------------------

COMMIT = "a" * 40


def started(at: float, number: int, step: str) -> dict[str, Any]:
    names = {"step": step, "mode": "diff", "entry": "first", "base": COMMIT, "step_base": COMMIT}
    return {"event": "attempt_started", "at": at, "number": number, "attempt": 1, "agent": "claude-x", **names}


def ended(at: float, number: int, step: str, verdict: str, *, until: float | None = None) -> list[dict[str, Any]]:
    outcome = Outcome.QUOTA if verdict == "waited" else Outcome.PASSED
    result = AttemptResult(step, 1, outcome, "", "claude-x", Timings(at, 1.0), usage=Usage(turns=1))
    words = {"outcome": outcome.value, "reason": "", "why": "", "head": COMMIT}
    return [
        {"event": "attempt_finished", "at": at, "number": number, "folder": None, "result": to_wire(result)},
        {
            "event": "decided",
            "at": at,
            "number": number,
            "verdict": verdict,
            "replanned": None,
            "until": until,
            **words,
        },
    ]


def record(*events: dict[str, Any]) -> RunRecord:
    first = {"event": "run_started", "at": 0.0, "run_id": "r", "workflow": "w", "spec": "s", "base": COMMIT}
    more = {"branch": "b", "pid": 1, "pid_created": 0.0, "max_budget": None}
    assert all(is_event(event) for event in events)
    return fold([{**first, **more}, *events])


def test_time_during_which_the_whole_run_waits_does_not_count() -> None:
    waits = [started(10, 1, "a"), *ended(20, 1, "a", "waited", until=100)]
    run = record(*waits)
    assert [(one.step, one.until) for one in run.waiting] == [("a", 100)]
    again = record(*waits, started(100, 2, "a"), *ended(110, 2, "a", "passed"))
    assert again.waiting == []
    assert (again.duration_s, again.idle_s) == (30, 80)


def test_time_of_a_wait_counts_while_other_attempts_run() -> None:
    events = [started(10, 1, "a"), started(10, 2, "b"), *ended(20, 1, "a", "waited", until=100)]
    run = record(*events, *ended(50, 2, "b", "passed"), started(100, 3, "a"), *ended(110, 3, "a", "passed"))
    assert (run.duration_s, run.idle_s) == (60, 50)


def test_wait_that_a_resume_ends_is_counted_once() -> None:
    resumed = {"reused": [1], "again": {}, "head": COMMIT, "pid": 2, "pid_created": 0.0, "max_budget": None}
    waits = [started(10, 1, "a"), *ended(20, 1, "a", "waited", until=100)]
    run = record(*waits, {"event": "run_resumed", "at": 60.0, **resumed}, started(61, 2, "a"))
    assert run.idle_s == 40
    assert run.waiting == []


def asked(at: float, number: int, step: str) -> list[dict[str, Any]]:
    finished, _ = ended(at, number, step, "passed")
    about = {"number": number, "step": step, "base": COMMIT, "commit": COMMIT, "subject": COMMIT, "show": []}
    return [finished, {"event": "awaiting", "at": at, "since": at, "expires": None, **about}]


def test_time_during_which_the_whole_run_waits_for_a_person_does_not_count() -> None:
    _, decided = ended(100, 1, "a", "passed")
    run = record(started(10, 1, "a"), *asked(20, 1, "a"), decided, started(100, 2, "b"), *ended(110, 2, "b", "passed"))
    assert (run.duration_s, run.idle_s) == (30, 80)


def test_time_until_an_answer_counts_while_other_attempts_run() -> None:
    events = [started(10, 1, "a"), started(10, 2, "b"), *asked(20, 1, "a"), *ended(50, 2, "b", "passed")]
    left = {"event": "run_finished", "at": 90.0, "status": "awaiting", "reason": "", "head": COMMIT}
    run = record(*events, left)
    assert (run.duration_s, run.idle_s) == (50, 40)


def test_an_answer_long_after_the_run_does_not_change_its_duration() -> None:
    waits = [started(10, 1, "a"), *asked(20, 1, "a")]
    about = {"number": 1, "step": "a", "commit": COMMIT, "subject": COMMIT}
    answer = {"event": "approval", "at": 5_000.0, "approved": True, "by": "Ada", "text": "", **about}
    left = {"event": "run_finished", "at": 30.0, "status": "awaiting", "reason": "", "head": COMMIT}
    applied = {"event": "applied", "at": 9_000.0, "commit": COMMIT, "head": COMMIT}
    for events in ([*waits, left], [*waits, left, answer], [*waits, left, answer, applied], [*waits, answer]):
        assert record(*events).duration_s == 20
    again = {"reused": [], "again": {}, "head": COMMIT, "pid": 2, "pid_created": 0.0, "max_budget": None}
    resumed = {"event": "run_resumed", "at": 6_000.0, **again}
    assert record(*waits, answer, resumed, started(6_010, 2, "b")).duration_s == 30


@pytest.mark.parametrize("wrong", [{"agent": 7}, {"until": "soon"}, {"until": 1e300}, {"agent": ["codex"]}])
def test_invalid_decision_in_the_ledger_is_ignored(wrong: dict[str, Any]) -> None:
    _, decided = ended(20, 1, "a", "waited", until=100)
    assert is_event(decided)
    assert not is_event({**decided, **wrong})


# -- on the terminal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "left"), [(750.0, "12:30"), (59.9, "0:59"), (0.0, "0:00"), (3725.0, "1:02:05"), (90_000.0, "25:00:00")]
)
def test_remaining_wait_is_shown_in_minutes_and_seconds(seconds: float, left: str) -> None:
    assert waits_text("claude", seconds) == f"claude waits for its usage limit, {left} left"


def test_live_line_shows_waits_before_running_attempts() -> None:
    other = Running("", "build::impl", "codex", 3, 0.1, 65.0)
    assert live_line([], ASCII, 80, waits=[("claude", 60.0)]) == ". claude waits for its usage limit, 1:00 left"
    line = live_line([other], ASCII, 80, waits=[("claude", 60.0)])
    assert line == ". claude waits for its usage limit, 1:00 left | impl 1m05s"
    assert len(live_line([other] * 9, ASCII, 40, waits=[("claude", 60.0)])) < 40
