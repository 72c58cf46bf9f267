from decimal import Decimal

import pytest

from timesheet.entries import parse_log
from timesheet.statement import statement

RATES = {"website": Decimal("80"), "support": Decimal("40.50")}


def test_one_line_for_each_project_and_a_total():
    log = parse_log(
        "2026-03-02 09:00-10:30 website\n2026-03-03 09:00-18:00 website\n2026-03-02 11:00-11:10 support"
    )
    assert statement(log, RATES).splitlines() == [
        "support   0:15   10.13",
        "website  10:30  840.00",
        "total    10:45  850.13",
    ]


def test_amounts_are_rounded_half_up():
    log = parse_log("2026-03-02 09:00-09:15 support")
    assert statement(log, {"support": Decimal("0.50")}).splitlines() == [
        "support  0:15  0.13",
        "total    0:15  0.13",
    ]


def test_total_is_the_sum_of_the_printed_amounts():
    log = parse_log("2026-03-02 09:00-09:15 a\n2026-03-02 09:00-09:15 b")
    rates = {"a": Decimal("0.02"), "b": Decimal("0.02")}
    assert statement(log, rates).splitlines() == [
        "a      0:15  0.01",
        "b      0:15  0.01",
        "total  0:30  0.02",
    ]


def test_long_names_widen_the_first_column():
    log = parse_log("2026-03-02 09:00-10:00 data-migration")
    assert statement(log, {"data-migration": Decimal("100")}).splitlines() == [
        "data-migration  1:00  100.00",
        "total           1:00  100.00",
    ]


def test_project_without_a_rate_is_named():
    with pytest.raises(ValueError, match="'legal'"):
        statement(parse_log("2026-03-02 09:00-10:00 legal"), RATES)


def test_no_entries_give_the_total_line_alone():
    assert statement([], RATES) == "total  0:00  0.00"
