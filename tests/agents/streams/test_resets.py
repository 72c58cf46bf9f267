from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.streams.resets import epoch, retry_after, sane, stated_reset

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 4, 14, 20, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
HOUR = 3600


@pytest.fixture(autouse=True)
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone to Berlin."""
    import time

    with monkeypatch.context() as context:
        context.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("You've hit your usage limit. Upgrade to Pro or try again in 2 days 17 hours 14 minutes.", 234_840),
        ("You've hit your usage limit. Try again in 3 hours 1 minute.", 10_860),
        ("Rate limit reached for gpt-5. Please try again in 6m0s.", 360),
        ("Please try again in 12.5s", 12.5),
        ("Please try again in 500ms.", 0.5),
        ("You have exhausted your capacity on this model. Your quota will reset after 21h53m56s.", 78_836),
        ("Your quota will reset after 0s.", 0),
        ("Quota exceeded.\nSuggested retry after 43s.", 43),
        ("The limit resets in 3h 20m.", 12_000),
        ('{"error":{"details":[{"@type":"RetryInfo","retryDelay":"34.5s"}]}}', 34.5),
        (r"{\"error\":{\"details\":[{\"retryDelay\": \"34s\"}]}}", 34),
        ('{"error":{"type":"usage_limit_reached","resets_in_seconds":13872}}', 13_872),
    ],
)
def test_a_duration_counts_from_now(words: str, seconds: float) -> None:
    assert stated_reset(words, NOW) == pytest.approx(NOW + seconds)


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("You've hit your limit · resets 3pm", "2026-03-04 15:00 Europe/Berlin"),
        ("You've hit your limit · resets 3pm (Asia/Tokyo)", "2026-03-05 15:00 Asia/Tokyo"),
        ("You've hit your session limit · resets 7:20pm (Asia/Singapore)", "2026-03-05 19:20 Asia/Singapore"),
        ("You've hit your limit · resets 2pm", "2026-03-04 14:00 Europe/Berlin"),
        ("You've hit your limit · resets 1pm", "2026-03-05 13:00 Europe/Berlin"),
        ("5-hour limit reached ∙ resets 12am", "2026-03-05 00:00 Europe/Berlin"),
        ("You've hit your limit · resets Mar 16, 11am (Europe/Berlin)", "2026-03-16 11:00 Europe/Berlin"),
        ("Limit reached · resets Jan 2, 11am (America/New_York)", "2026-01-02 11:00 America/New_York"),
        ("visit the site or try again at Mar 10th, 2026 3:39 AM.", "2026-03-10 03:39 Europe/Berlin"),
        ("You've hit your usage limit. Try again at 9:20 AM.", "2026-03-05 09:20 Europe/Berlin"),
        ("Your limit will reset at 3pm (Europe/Madrid).", "2026-03-04 15:00 Europe/Madrid"),
        ("resets 3pm (Nowhere/Atlantis)", "2026-03-04 15:00 Europe/Berlin"),
    ],
)
def test_a_time_of_day_is_the_next_in_its_zone(words: str, at: str) -> None:
    moment, _, zone = at.rpartition(" ")
    wanted = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()
    assert stated_reset(words, NOW) == wanted


def test_a_date_without_a_year_can_be_in_the_next_year() -> None:
    december = datetime(2026, 12, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    wanted = datetime(2027, 1, 2, 11, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert stated_reset("resets Jan 2, 11am", december) == wanted


@pytest.mark.parametrize("words", ["Claude AI usage limit reached|1772700000", '{"resets_at":1772700000}'])
def test_seconds_since_the_epoch_are_used_unchanged(words: str) -> None:
    assert stated_reset(words, NOW) == 1_772_700_000


def test_the_later_of_two_times_counts() -> None:
    assert stated_reset("try again in 5 minutes, or try again in 2 hours", NOW) == NOW + 2 * HOUR


@pytest.mark.parametrize(
    "words",
    [
        "",
        "usage limit reached",
        "try again later",
        "Please wait and try again",
        "resets 25pm",
        "resets Feb 30, 11am",
        "resets Foo 3, 11am",
        "try again in 999999 days",
        "|9999999999",
        "retry 3 different models",
        "resets in 5 months",
    ],
)
def test_unknown_text_gives_no_time(words: str) -> None:
    assert stated_reset(words, NOW) is None


@given(st.text())
def test_any_text_gives_none_or_a_plausible_time(words: str) -> None:
    at = stated_reset(words, NOW)
    assert at is None or 0 < at < NOW + 500 * 86_400


def test_a_long_text_is_read_quickly() -> None:
    assert stated_reset("try again in 1h. " * 100_000, NOW) == NOW + HOUR


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("120", NOW + 120),
        (" 7 ", NOW + 7),
        ("Wed, 04 Mar 2026 13:30:00 GMT", NOW + 600),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, at: float | None) -> None:
    assert retry_after(value, NOW) == at


def test_milliseconds_are_recognised_by_their_size() -> None:
    assert epoch(1_772_700_000_000, NOW) == epoch(1_772_700_000, NOW) == 1_772_700_000
    assert epoch(None, NOW) is None


@pytest.mark.parametrize("at", [math.nan, math.inf, -1.0, 0.0, 1e15])
def test_an_implausible_time_is_none(at: float) -> None:
    assert sane(at, NOW) is None
