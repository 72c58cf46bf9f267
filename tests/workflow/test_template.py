from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_gump.workflow.template import allowed, canonical, escape, parse, written_names

from tests.kits.sizes import full_size

PIECES = st.lists(
    st.sampled_from(["{", "}", "{{", "}}", "{a}", "{item.name}", "\n", " ", "x", '"k": 1', "{a", "a}", "..", "\r\n"])
    | st.text(max_size=4)
).map("".join)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a {x} b", "a 1 b"),
        ("{x}{x}", "11"),
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{1}"),
        ("{ x }", "{ x }"),
        ("{x.}", "{x.}"),
        ("{...}", "{...}"),
        ("{}", "{}"),
        ("{{", "{"),
        ("}}", "}"),
        ("{{}}", "{}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ('{"a": {"b": {}}}', '{"a": {"b": {}}}'),
        ('{"a": {"b": "{x}"}}', '{"a": {"b": "1"}}'),
        ("if (x) { y(); }", "if (x) { y(); }"),
        ("f'{{{x}}}'", "f'{1}'"),
        ("[{x}]", "[1]"),
        ("ä{x}ö", "ä1ö"),
        ("{ {{ { { }} }}", "{ { { { }} }"),
        ("{ {\n}} }", "{ {\n}} }"),
        ("{{ }", "{ }"),
        ("{{ } }}", "{ } }"),
        ("{ }}", "{ }"),
        ("{ { { }} } } }}", "{ { { }} } } }"),
        ("{{ { { }} }}", "{ { { }} }"),
        ("{ { { { }} }} }}", "{ { { { }} }} }"),
        ("{ { {\n} } }}", "{ { {\n} } }"),
        ("{{ {\n}} }", "{ {\n} }"),
    ],
)
def test_names_are_replaced_and_other_braces_are_kept(text: str, rendered: str) -> None:
    assert parse(text).render({"x": "1"}) == rendered


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("a\n{empty}\nb", "a\nb"),
        ("a\n  {empty} {empty}  \nb\n", "a\nb\n"),
        ("a\n- {empty}\nb", "a\n- \nb"),
        ("a\n\nb", "a\n\nb"),
        ("{empty}", ""),
        ("a\n{empty}", "a\n"),
        ("{full}\n{empty}\n{full}", "1\n1"),
        ("a\r\n{empty}\r\nb", "a\r\nb"),
    ],
)
def test_a_line_with_only_empty_values_is_removed(text: str, rendered: str) -> None:
    assert parse(text).render({"empty": "", "full": "1"}) == rendered


def test_names_have_offsets() -> None:
    assert written_names("a {x}\n{{y}} {steps.a-b.output} {x}") == [("x", 2), ("steps.a-b.output", 12), ("x", 31)]


def test_a_name_without_a_value_raises_key_error() -> None:
    with pytest.raises(KeyError, match="x"):
        parse("{x}").render({})


@given(PIECES)
def test_escaped_text_is_rendered_unchanged(text: str) -> None:
    assert not written_names(escape(text))
    assert parse(escape(text)).render({}) == text


@given(PIECES)
def test_inserted_text_is_not_rendered_again(value: str) -> None:
    assert parse("<{a}|{b}>").render({"a": value, "b": "{a}"}) == f"<{value}|{{a}}>"


@given(PIECES, PIECES)
def test_inserted_text_does_not_change_the_text_around_it(text: str, value: str) -> None:
    assume("\x00" not in text)
    held = {name for name, _ in written_names(text)}
    marked = parse(text).render(dict.fromkeys(held, "\x00"))
    assert parse(text).render(dict.fromkeys(held, f"{value}!")) == marked.replace("\x00", f"{value}!")


@given(PIECES)
def test_names_are_the_names_that_rendering_looks_up(text: str) -> None:
    asked: list[str] = []

    def look_up(name: str) -> str:
        asked.append(name)
        return ""

    parse(text).render(look_up)
    assert asked == [name for name, _ in written_names(text)]


@given(PIECES)
def test_offsets_point_to_the_name_in_the_text(text: str) -> None:
    for name, offset in written_names(text):
        assert text[offset : offset + len(name) + 2] == f"{{{name}}}"


@given(
    st.recursive(
        st.none() | st.integers() | st.text("abc"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
    )
)
def test_json_needs_no_escaping(value: object) -> None:
    import json

    text = json.dumps(value)
    assert parse(text).render({}) == text


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", ["{", "}", "{{", "}}", "{a", "{a.", "{x}", "{x}\n", "{\n", "}{", "a", "{" * 50 + "}}" * 25]
)
def test_rendering_takes_linear_time(part: str) -> None:
    size, limit_s = full_size((60_000, 1), (300_000, 5))
    text = part * (size // len(part))
    began = time.process_time()
    parse(text).render({"x": "value"})
    assert time.process_time() - began < limit_s


def test_task_is_an_alias_of_item() -> None:
    assert canonical("task.name") == "item.name"
    assert canonical("taskname") == "taskname"


def test_items_exist_only_inside_a_foreach() -> None:
    assert "item.name" in allowed(in_foreach=True)
    assert "item.name" not in allowed(in_foreach=False)
    assert "language" in allowed(in_foreach=False, inputs=["language"])
