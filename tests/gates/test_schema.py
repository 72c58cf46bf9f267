from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.base import PlanItem, Verdict
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.gates.schema import parse_plan, parse_verdict

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path


def item(**fields: Any) -> dict[str, Any]:
    return {"name": "Add a cart", "description": "what to do", **fields}


def plan_errors(*entries: Any, max_items: int = 100) -> tuple[str, ...]:
    parsed = parse_plan(json.dumps(list(entries)).encode(), max_items=max_items)
    assert (parsed.value is None) == bool(parsed.errors)
    return parsed.errors


def test_a_valid_plan_is_read() -> None:
    parsed = parse_plan(json.dumps([item(files=["src/", "tests/**/*.py"]), item(name="Pay", files=None)]).encode())
    assert parsed.errors == ()
    assert parsed.value == (
        PlanItem("Add a cart", "add-a-cart", "what to do", ("src/", "tests/**/*.py")),
        PlanItem("Pay", "pay", "what to do", ()),
    )


def test_unknown_keys_are_ignored() -> None:
    assert plan_errors(item(priority=1, id="x", depends_on=[])) == ()


@pytest.mark.parametrize(
    ("entries", "errors"),
    [
        ([], ("the plan is empty: it needs at least one item",)),
        ([3], ("item 1 must be an object with 'name' and 'description', not a number",)),
        ([{}], ("item 1 has no 'name'", "item 1 has no 'description'")),
        ([item(name="  ")], ("'name' of item 1 is blank",)),
        ([item(name=1)], ("'name' of item 1 must be a string, not a number",)),
        ([item(name=True)], ("'name' of item 1 must be a string, not true or false",)),
        ([item(name="x" * 201)], ("'name' of item 1 is longer than 200 characters",)),
        ([item(name="a\nb")], ("'name' of item 1 must be one line",)),
        ([item(name="a\x1b[31m")], ("'name' of item 1 contains control characters",)),
        ([item(name="\ud800")], ("'name' of item 1 contains control characters",)),
        ([item(description=["x"])], ("'description' of item 1 must be a string, not an array",)),
        ([item(description="a\x00")], ("'description' of item 1 contains control characters",)),
        ([item(description="x" * 20_001)], ("'description' of item 1 is longer than 20000 characters",)),
        ([item(), item(name="add A  cart!")], ("the names of items 1 and 2 both become 'add-a-cart' in paths; rename one",)),
        ([item(name="Item 2"), item(name="日本")], ("the names of items 1 and 2 both become 'item-2' in paths; rename one",)),
        ([item(files="src")], ("'files' of item 1 must be an array of patterns, not a string",)),
        ([item(files=[1])], ("'files' of item 1: a pattern must be a string, not a number",)),
        ([item(files=["/etc"])], ("'files' of item 1: '/etc' must be relative to the root of the project",)),
        ([item(files=["C:\\x"])], ("'files' of item 1: 'C:\\\\x' must be relative to the root of the project",)),
        ([item(files=["~/x"])], ("'files' of item 1: '~/x' must be relative to the root of the project",)),
        ([item(files=["a/../../b"])], ("'files' of item 1: 'a/../../b' must not leave the project ('..')",)),
        ([item(files=[".."])], ("'files' of item 1: '..' must not leave the project ('..')",)),
        ([item(files=["!a"])], ("'files' of item 1: '!a' must not start with '!'",)),
        ([item(files=["#a"])], ("'files' of item 1: '#a' must not start with '#'",)),
        ([item(files=["", "./", "a\nb"])], (
            "'files' of item 1: '' is not a file pattern",
            "'files' of item 1: './' is not a file pattern",
            "'files' of item 1: 'a\\nb' is not a file pattern",
        )),
        ([item(file=["a"])], ("item 1 has the key 'file': did you mean 'files'?",)),
        ([{"name": "a", "desciption": "x"}], ("item 1 has the key 'desciption': did you mean 'description'?", "item 1 has no 'description'")),
    ],
)  # fmt: skip
def test_each_mistake_in_a_plan_is_reported(entries: list[Any], errors: tuple[str, ...]) -> None:
    assert plan_errors(*entries) == errors


@pytest.mark.parametrize("pattern", ["a*a*a*a*a*b", "**/**/**/**/**/x"])
def test_a_pattern_that_would_take_too_long_is_refused(pattern: str) -> None:
    assert plan_errors(item(files=[pattern])) == (f"'files' of item 1: {pattern!r} has too many wildcards",)


def test_all_mistakes_are_reported_together() -> None:
    errors = plan_errors(item(name=""), item(files=["/x", "../y"]), "z")
    assert len(errors) == 4


def test_the_list_of_mistakes_is_bounded() -> None:
    errors = plan_errors(*[3] * 50)
    assert len(errors) == 21
    assert errors[-1] == "and 30 more"


def test_a_plan_with_too_many_items_is_refused() -> None:
    assert plan_errors(*[item()] * 3, max_items=2) == ("the plan has 3 items; at most 2 are allowed",)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"items": []}', "the plan must be a JSON array of items, not an object"),
        (b"null", "the plan must be a JSON array of items, not null"),
        (b"[", "the plan is not JSON (line 1, column 2): Expecting value"),
        (b'[{"name": "a", "name": "b"}]', "the plan has the key 'name' twice in one object"),
        (b"[" * 50_000, "the plan is nested too deep"),
    ],
)
def test_a_value_that_is_not_a_plan_is_reported(data: bytes, error: str) -> None:
    assert parse_plan(data).errors == (error,)


def test_valid_verdicts_are_read() -> None:
    assert parse_verdict(b'{"pass": true}').value == Verdict(passed=True)
    assert parse_verdict(b'{"pass": true, "comment": null}').value == Verdict(passed=True)
    assert parse_verdict(b'{"pass": false, "comment": "no"}').value == Verdict(passed=False, comment="no")


@pytest.mark.parametrize(
    ("verdict", "errors"),
    [
        ([], ("the review must be a JSON object with 'pass' and 'comment', not an array",)),
        ({}, ("the review has no 'pass': it must be true or false",)),
        ({"pass": "true"}, ("'pass' must be true or false, not a string",)),
        ({"pass": 1}, ("'pass' must be true or false, not a number",)),
        ({"pass": None}, ("'pass' must be true or false, not null",)),
        ({"pass": False}, ("'comment' must say what is wrong when 'pass' is false",)),
        ({"pass": False, "comment": " "}, ("'comment' must say what is wrong when 'pass' is false",)),
        ({"pass": False, "comment": []}, ("'comment' must be a string, not an array",)),
        ({"pass": True, "comment": 0}, ("'comment' must be a string, not a number",)),
        ({"passed": True}, ("the review has the key 'passed': did you mean 'pass'?", "the review has no 'pass': it must be true or false")),
    ],
)  # fmt: skip
def test_each_mistake_in_a_verdict_is_reported(verdict: Any, errors: tuple[str, ...]) -> None:
    assert parse_verdict(json.dumps(verdict).encode()).errors == errors


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "description", "files", "pass", "comment", "x"]), inner)
    ),
    max_leaves=20,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_output_is_a_value_or_a_list_of_plain_mistakes(data: bytes) -> None:
    for parsed in (parse_plan(data), parse_verdict(data)):
        assert (parsed.value is None) == bool(parsed.errors)
        assert all(error and "\n" not in error and len(error) < 300 for error in parsed.errors)
        assert len(parsed.errors) <= 21


@given(st.lists(st.text(max_size=30), max_size=6))
def test_a_valid_plan_has_unique_slugs_and_files_inside_the_project(names: list[str]) -> None:
    parsed = parse_plan(json.dumps([item(name=name, files=[name]) for name in names]).encode())
    for planned in parsed.value or ():
        assert planned.name.strip()
        assert ".." not in planned.files[0].split("/")
        assert not planned.files[0].startswith("/")
    assert len({planned.slug for planned in parsed.value or ()}) == len(parsed.value or ())


def test_the_schema_gate_reports_the_check(tmp_path: Path) -> None:
    context = gate_context(tmp_path, mode="plan", payload=("item",))
    assert BUILTIN["schema"](None, context).status == "passed"
    assert BUILTIN["schema"]("plan", context).summary == "valid plan"


def test_the_schema_gate_reports_the_mistakes(tmp_path: Path) -> None:
    context = gate_context(tmp_path, mode="review", payload_error="the review has no 'pass'\nand more")
    result = BUILTIN["schema"]("review", context)
    assert (result.status, result.summary) == ("failed", "the review has no 'pass'")
    assert result.output.endswith("and more")
    assert BUILTIN["schema"](None, gate_context(tmp_path, mode="plan")).summary == "no plan was delivered"


@pytest.mark.parametrize(("mode", "argument"), [("diff", None), ("plan", "review"), ("plan", "other")])
def test_the_schema_gate_must_match_the_output_of_the_step(mode: str, argument: str | None, tmp_path: Path) -> None:
    assert BUILTIN["schema"](argument, gate_context(tmp_path, mode=mode)).status == "error"
