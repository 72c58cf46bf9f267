"""Conversion of dataclasses to plain data and back. `tests/test_order.py` compares it with pydantic."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest
from pytest_gump.system.plain_data import dump, load


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    name: str
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Whole:
    size: float
    parts: tuple[Part, ...] = ()
    pair: tuple[str, int] | None = None
    mode: Literal["on", "off"] = "on"
    counts: dict[str, int] = field(default_factory=dict)
    is_new: bool = False


WHOLE = Whole(1.5, (Part("a"), Part("b")), ("c", 2), "off", {"d": 3}, is_new=True)
PLAIN = {
    "size": 1.5,
    "parts": [{"name": "a", "colour": "red"}, {"name": "b", "colour": "red"}],
    "pair": ["c", 2],
    "mode": "off",
    "counts": {"d": 3},
    "is_new": True,
}


def test_record_is_converted_to_plain_data_and_back() -> None:
    assert dump(WHOLE) == PLAIN
    assert load(Whole, PLAIN) == WHOLE


def test_plain_data_contains_no_enums() -> None:
    assert type(dump(Part("a"))["colour"]) is str


def test_unknown_fields_are_ignored_and_missing_ones_have_defaults() -> None:
    assert load(Whole, {"size": 2, "weight": 3}) == Whole(2.0)


def test_numbers_are_converted_to_the_type_of_their_field() -> None:
    read = load(Whole, {"size": True, "counts": {"d": 2.0, "e": True, "f": "3"}, "is_new": 1})
    assert (read.size, read.counts, read.is_new) == (1.0, {"d": 2, "e": 1, "f": 3}, True)
    assert [type(value) for value in (read.size, *read.counts.values(), read.is_new)] == [float, int, int, int, bool]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Whole: size missing"),
        ({"size": "one"}, "size: 'one' is not of type float"),
        ({"size": 10**400}, "^size: 10{79} is not of type float"),
        ({"size": float("nan"), "counts": {"d": float("nan")}}, "nan is not of type int"),
        ({"size": float("inf"), "counts": {"d": float("inf")}}, "inf is not of type int"),
        ({"size": 1, "parts": {}}, "{} is not of type list"),
        ({"size": 1, "parts": ["a"]}, "'a' is not of type dict"),
        ({"size": 1, "parts": [{"name": "a", "colour": "blue"}]}, "parts: colour: 'blue' is not a valid Colour"),
        ({"size": 1, "pair": ["c"]}, "pair: 1 entries instead of 2"),
        ({"size": 1, "mode": "maybe"}, "'maybe' is not one of"),
        ({"size": 1, "mode": []}, r"\[\] is not one of"),
        ({"size": 1, "counts": {"d": None}}, "None is not of type int"),
        ({"size": 1, "counts": {"d": 1.5}}, "1.5 is not of type int"),
        ({"size": 1, "is_new": 2}, "2 is not of type bool"),
        ("size", "'size' is not of type dict"),
    ],
)
def test_invalid_data_is_rejected(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(Whole, data)
