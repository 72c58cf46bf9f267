from datetime import date

import pytest

from timesheet.billing import billable
from timesheet.entries import parse_log

MONDAY = date(2026, 3, 2)
TUESDAY = date(2026, 3, 3)


def bill(*lines, increment=15):
    return billable(parse_log("\n".join(lines)), increment=increment)


def test_nothing_is_billed_for_no_entries():
    assert bill() == {}


def test_total_is_rounded_up_to_the_increment():
    assert bill("2026-03-02 09:00-09:50 website") == {(MONDAY, "website"): 60}


def test_multiple_of_the_increment_stays_as_it_is():
    assert bill("2026-03-02 09:00-09:40 website", increment=20) == {(MONDAY, "website"): 40}


def test_only_the_total_of_the_day_is_rounded():
    log = ["2026-03-02 09:00-09:20 website", "2026-03-02 11:00-11:20 website"]
    assert bill(*log) == {(MONDAY, "website"): 45}


def test_touching_entries_count_as_one():
    log = ["2026-03-02 09:00-09:20 website", "2026-03-02 09:20-09:40 website"]
    assert bill(*log) == {(MONDAY, "website"): 45}


def test_overlapping_entries_count_once_in_any_order():
    log = ["2026-03-02 10:00-11:30 website", "2026-03-02 09:00-10:30 website"]
    assert bill(*log) == {(MONDAY, "website"): 150}


def test_entry_inside_another_adds_nothing():
    log = [
        "2026-03-02 09:00-12:00 website",
        "2026-03-02 10:00-10:30 website",
        "2026-03-02 11:30-12:30 website",
    ]
    assert bill(*log) == {(MONDAY, "website"): 210}


def test_projects_do_not_swallow_each_other():
    log = ["2026-03-02 09:00-10:00 website", "2026-03-02 09:30-10:30 support"]
    assert bill(*log) == {(MONDAY, "support"): 60, (MONDAY, "website"): 60}


def test_each_day_gets_its_part_of_a_night():
    log = ["2026-03-02 22:30-00:15 website"]
    assert bill(*log) == {(MONDAY, "website"): 90, (TUESDAY, "website"): 15}


def test_keys_are_sorted_by_day_and_project():
    log = [
        "2026-03-03 09:00-10:00 support",
        "2026-03-02 09:00-10:00 website",
        "2026-03-02 09:00-10:00 support",
    ]
    assert list(bill(*log)) == [(MONDAY, "support"), (MONDAY, "website"), (TUESDAY, "support")]


@pytest.mark.parametrize("increment", [0, -15])
def test_increment_below_one_is_refused(increment):
    with pytest.raises(ValueError, match="increment"):
        bill("2026-03-02 09:00-10:00 website", increment=increment)
