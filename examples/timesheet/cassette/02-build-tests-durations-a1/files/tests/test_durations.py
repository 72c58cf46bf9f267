import re

import pytest

from timesheet.durations import parse_minutes, show_minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("45m", 45), ("2h", 120), ("1h30m", 90), ("1h 30m", 90), ("1.5h", 90), ("0.25h", 15)],
)
def test_durations_are_read_as_minutes(text, minutes):
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "90", "1h30", "-5m", "0m", "0.33h", "1.5m"])
def test_other_text_is_refused_and_shown(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_minutes(text)


@pytest.mark.parametrize(("minutes", "text"), [(0, "0:00"), (5, "0:05"), (90, "1:30"), (1500, "25:00")])
def test_minutes_are_shown_as_hours_and_minutes(minutes, text):
    assert show_minutes(minutes) == text
