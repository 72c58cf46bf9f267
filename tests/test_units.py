from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.units import (
    clock_text,
    format_bytes,
    format_duration,
    format_usd,
    format_usd_sum,
    parse_age,
    parse_duration,
    plural,
    round_usd,
)


def test_one_is_singular() -> None:
    assert (plural(1, "file"), plural(2, "file")) == ("1 file", "2 files")


def test_an_irregular_plural_can_be_given() -> None:
    assert [plural(number, "box", "boxes") for number in (0, 1, 2)] == ["0 boxes", "1 box", "2 boxes"]


@pytest.mark.parametrize(("text", "seconds"), [("14d", 1_209_600), ("2w", 1_209_600), ("12h", 43_200), ("90s", 90)])
def test_ages_are_read_in_all_units(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "0d", "d", "-1d", "1.5d", "1d12h", "soon"])
def test_an_invalid_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"an age|a duration"):
        parse_age(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"), (9.94, "9.9s"), (9.97, "10s"), (59.4, "59s"), (59.6, "1m"), (70, "1m10s"), (212, "3m32s"),
        (600, "10m"), (3599, "59m59s"), (3599.7, "1h00m"), (3900, "1h05m"), (5399, "1h30m"),
    ],
)  # fmt: skip
def test_written_durations_can_be_read(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    if seconds:
        assert parse_duration(text) == pytest.approx(seconds, abs=30 if "h" in text else 0.5)


def test_amounts_of_data_are_written_in_a_suitable_unit() -> None:
    assert [format_bytes(count) for count in (0, 1023, 1024, 12_288, 3_565_158)] == [
        "0 B", "1023 B", "1.0 KiB", "12 KiB", "3.4 MiB",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "has_unknown", "text"), [(1.5, False, "$1.50"), (1.5, True, "$1.50 + $?"), (0, True, "$?")]
)
def test_sums_show_that_a_part_is_unknown(amount: float, has_unknown: bool, text: str) -> None:
    assert format_usd_sum(amount, has_unknown=has_unknown) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.00"), (0.3, "$0.30"), (0.0094, "$0.0094"), (0.0189, "$0.0189"), (0.00001, "$0.0001"), (0.29999, "$0.30"),
     (0.9999, "$0.9999"), (0.99999, "$1.00"), (1.1884, "$1.1884"), (12, "$12.00")],
)  # fmt: skip
def test_dollars_have_four_decimals_except_whole_cents(amount: float, text: str) -> None:
    assert format_usd(amount) == text


def test_a_sum_is_written_like_its_parts() -> None:
    parts = (0.0094, 0.0095)
    assert [format_usd(one) for one in (*parts, sum(parts))] == ["$0.0094", "$0.0095", "$0.0189"]


@given(st.lists(st.floats(0, 10), max_size=50))
def test_a_sum_of_recorded_costs_is_the_sum_of_the_shown_costs(amounts: list[float]) -> None:
    recorded = [round_usd(amount) for amount in amounts]
    shown = [Decimal(format_usd(amount).removeprefix("$")) for amount in recorded]
    assert Decimal(format_usd(sum(recorded)).removeprefix("$")) == sum(shown)


def test_a_cost_is_not_rounded_to_zero() -> None:
    assert (round_usd(0.0), round_usd(0.000001), round_usd(0.00944975)) == (0.0, 0.0001, 0.0094)


def test_a_time_on_another_day_has_its_date() -> None:
    now = 1_772_630_400.0
    assert clock_text(now + 60, now).endswith(" (in 1m)")
    assert len(clock_text(now, now)) == len("15:30")
    assert ", " in clock_text(now + 40 * 3600, now)
