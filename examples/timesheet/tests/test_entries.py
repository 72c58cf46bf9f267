from datetime import datetime

import pytest

from timesheet.entries import Entry, parse_line, parse_log


def test_line_with_a_note():
    assert parse_line("2026-03-02 09:00-10:30 website: fix the login form") == Entry(
        "website",
        datetime(2026, 3, 2, 9, 0),
        datetime(2026, 3, 2, 10, 30),
        "fix the login form",
    )


def test_line_without_a_note():
    assert parse_line("2026-03-02 09:00-09:05 support").note == ""


def test_end_before_start_is_on_the_next_day():
    entry = parse_line("2026-03-02 22:30-00:15 website: release")
    assert entry.end == datetime(2026, 3, 3, 0, 15)


@pytest.mark.parametrize("line", ["", "website 09:00-10:00", "2026-03-02 9:00-10:00 website"])
def test_other_text_is_refused(line):
    with pytest.raises(ValueError, match="not an entry"):
        parse_line(line)


def test_empty_stretch_is_refused():
    with pytest.raises(ValueError, match="must end after it starts"):
        parse_line("2026-03-02 09:00-09:00 website")


def test_log_leaves_out_comments_and_empty_lines():
    log = "# march\n\n2026-03-02 09:00-10:00 website\n2026-03-02 10:00-10:20 support\n"
    assert [entry.project for entry in parse_log(log)] == ["website", "support"]
