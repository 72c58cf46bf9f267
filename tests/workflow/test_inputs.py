from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.workflow.inputs import input_hint, missing, value_error
from pytest_gump.workflow.model import Input

LEVEL = Input(type="choice", choices=("low", "high"), description="How strict")


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (Input(), ""),
        (Input(), "any text\nof two lines"),
        (Input(type="integer"), "0"),
        (Input(type="integer"), "-12"),
        (Input(type="number"), "1e3"),
        (Input(type="number"), ".5"),
        (Input(type="boolean"), "true"),
        (Input(type="boolean"), "false"),
        (LEVEL, "high"),
        (Input(type="path"), "src/a b.py"),
        (Input(type="path"), "."),
    ],
)
def test_a_value_of_the_type_is_valid(declared: Input, value: str) -> None:
    assert value_error("x", declared, value) is None


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        (Input(type="integer"), "1.5", "input 'x' must be a whole number, not '1.5'"),
        (Input(type="integer"), "", "input 'x' must be a whole number, not ''"),
        (Input(type="integer"), "1_000", "input 'x' must be a whole number, not '1_000'"),
        (Input(type="integer"), "\u0663", "input 'x' must be a whole number, not '\u0663'"),
        (Input(type="number"), "nan", "input 'x' must be a number, not 'nan'"),
        (Input(type="number"), "1e999", "input 'x' must be a number, not '1e999'"),
        (Input(type="boolean"), "yes", "input 'x' must be true or false, not 'yes'"),
        (LEVEL, "Low", "input 'x' must be one of low, high, not 'Low'"),
        (Input(type="path"), "../a", "input 'x' must be a path in the project: '../a' must not contain '..'"),
        (Input(type="path"), "/etc/passwd", "input 'x' must be a path in the project: '/etc/passwd' must be relative"),
        (Input(type="path"), "", "input 'x' must be a path in the project: '' is empty"),
    ],
)
def test_an_invalid_value_is_named_with_what_is_expected(declared: Input, value: str, message: str) -> None:
    assert value_error("x", declared, value) == message


@given(st.integers())
def test_every_whole_number_is_an_integer_and_a_number(value: int) -> None:
    assert value_error("x", Input(type="integer"), str(value)) is None
    assert value_error("x", Input(type="number"), str(value)) is None


@given(st.text())
def test_every_text_has_an_answer_for_every_type(value: str) -> None:
    for kind in ("integer", "number", "boolean", "path"):
        error = value_error("x", Input(type=kind), value)
        assert error is None or error.startswith("input 'x' must be ")


def test_a_required_input_without_a_value_and_a_default_is_missing() -> None:
    inputs = {
        "a": Input(required=True),
        "b": Input(required=True, default="x"),
        "c": Input(),
        "d": Input(required=True),
    }
    assert missing(inputs, {"d": ""}) == ["a"]


def test_a_hint_has_the_description_and_the_choices() -> None:
    assert input_hint(LEVEL) == "How strict; choices: low, high"
    assert input_hint(Input()) is None
