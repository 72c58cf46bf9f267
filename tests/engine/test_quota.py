from __future__ import annotations

import pytest
from pytest_gump.engine.quota import Again, Limited, Quota, clock_text
from pytest_gump.engine.settings import Settings

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


def until(decided: Again | str) -> float:
    assert isinstance(decided, Again), decided
    assert decided.verdict == "waited"
    assert decided.until is not None
    return decided.until - NOW


def test_stop_says_when_the_limit_is_over_and_how_to_go_on(clock: Clock) -> None:
    decided = Quota(Settings(), clock).decide(limited(clock, NOW + 2 * HOUR))
    assert isinstance(decided, str)
    assert decided.startswith("the limit is over ")
    assert decided.endswith(" (in 2h00m); pytest --gump-resume goes on with the run")
    assert Quota(Settings(), clock).decide(limited(clock)) == "pytest --gump-resume goes on with the run"


def test_a_stated_end_is_waited_for_with_a_margin(clock: Clock) -> None:
    quota = waiting(clock)
    assert until(quota.decide(limited(clock, NOW + 600))) == 630
    assert not quota.is_free("claude")
    assert quota.is_free("codex")
    assert [*quota.waits()] == [("claude", 630.0)]
    clock.now += 629
    assert not quota.end_waits()
    clock.now += 1
    assert quota.end_waits()
    assert quota.is_free("claude")


def test_without_a_stated_end_each_wait_is_twice_as_long(clock: Clock) -> None:
    quota, waits = waiting(clock), []
    for _ in range(8):
        waits.append(until(quota.decide(limited(clock))) + NOW - clock.now)
        clock.now += waits[-1]
        quota.end_waits()
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_stated_end_that_was_not_true_is_believed_less_and_less(clock: Clock) -> None:
    quota, waits = waiting(clock), []
    for _ in range(4):
        waits.append(until(quota.decide(limited(clock, clock.now))) + NOW - clock.now)
        clock.now += waits[-1]
        quota.end_waits()
    assert waits == [30, 60, 120, 240]


def test_an_answer_of_the_provider_begins_the_waits_anew(clock: Clock) -> None:
    quota = waiting(clock)
    quota.decide(limited(clock))
    clock.now += 60
    quota.end_waits()
    quota.passed("claude")
    assert until(quota.decide(limited(clock))) == 120  # at 60 s, for 60 s


def test_attempts_that_come_to_the_same_limit_wait_for_it_once(clock: Clock) -> None:
    quota = waiting(clock, quota_wait_s=100.0)
    both = [limited(clock), limited(clock)]
    assert [until(quota.decide(one)) for one in both] == [60, 60]
    clock.now += 1
    assert until(quota.decide(both[1])) == 61


def test_more_than_the_cap_is_not_waited_for(clock: Clock) -> None:
    quota = waiting(clock, quota_wait_s=HOUR)
    told = quota.decide(limited(clock, NOW + HOUR))
    assert isinstance(told, str)
    assert "gump_quota_wait allows to wait 1h00m in all" in told
    assert quota.is_free("claude")
    assert until(quota.decide(limited(clock, NOW + HOUR - 30))) == HOUR
    clock.now += HOUR
    quota.end_waits()
    assert isinstance(quota.decide(limited(clock)), str)
    assert isinstance(quota.decide(limited(clock, run="r2")), Again)


def test_another_agent_takes_over_unless_it_is_the_one_that_came_to_the_limit(clock: Clock) -> None:
    quota = Quota(Settings(on_quota="codex"), clock)
    assert quota.decide(limited(clock)) == Again("failover", "failover to codex", "codex")
    told = quota.decide(Limited("r1", "codex", "codex", NOW))
    assert told == "codex has no quota left either; pytest --gump-resume goes on with the run"


def test_another_day_is_told_with_its_date() -> None:
    assert clock_text(NOW + 60, NOW).endswith(" (in 1m)")
    assert len(clock_text(NOW, NOW)) == len("15:30")
    assert ", " in clock_text(NOW + 40 * HOUR, NOW)
