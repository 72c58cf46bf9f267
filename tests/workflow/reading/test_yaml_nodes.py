from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.workflow.problems import Position, Problems
from pytest_gump.workflow.reading import yaml_nodes
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, read_yaml


def read(text: str) -> tuple[object, str]:
    problems = Problems("f.yaml")
    root = read_yaml(text, problems)
    return root, "\n".join(map(str, problems.found))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-11-22", "2026-11-22"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-5", -5),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.2.3", "1.2.3"),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("tRuE", "tRuE"),
        ("null", None),
        ("~", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("! 5", "5"),
        ("!!str 5", "5"),
        ("!!int 5", 5),
        ("=", "="),
        ("<<", "<<"),
        ("-", "-"),
    ],
)
def test_scalars_follow_yaml_1_2(written: str, value: object) -> None:
    root, problems = read(f"[a, {written}]" if written != "-" else "k: '-'")
    assert problems == ""
    node = root.nodes[1] if isinstance(root, ListNode) else root.values["k"]  # type: ignore[attr-defined]
    assert isinstance(node, ScalarNode)
    assert node.value == value
    assert type(node.value) is type(value)


def test_a_number_with_thousands_of_digits_is_text() -> None:
    root, problems = read("9" * 5000)
    assert problems == ""
    assert isinstance(root, ScalarNode)
    assert isinstance(root.value, str)


def test_each_key_and_value_has_its_position() -> None:
    root, _ = read("a: 1\nb:\n  - x\n  - {c: y}\n")
    assert isinstance(root, MapNode)
    assert [root.key(name).position for name in ("a", "b")] == [Position(1, 1), Position(2, 1)]
    below = root.values["b"]
    assert isinstance(below, ListNode)
    assert [node.position for node in below.nodes] == [Position(3, 5), Position(4, 5)]


def test_columns_count_characters_not_bytes() -> None:
    root, _ = read("\ufeffé: [ü, x]\n")
    assert isinstance(root, MapNode)
    below = root.values["é"]
    assert isinstance(below, ListNode)
    assert below.nodes[1].position == Position(1, 8)


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    root, problems = read("\n".join(lines))
    assert root is None
    assert "the file expands to more than 100000 values" in problems


def test_aliases_do_not_multiply_a_long_text() -> None:
    root, problems = read(f"a: &a {'x' * 500_000}\nb: [{', '.join(['*a'] * 500)}]\n")
    assert root is None
    assert "the file expands to more than 100000 values" in problems


def test_nested_aliases_are_refused() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200))]
    root, problems = read("\n".join(lines))
    assert root is None
    assert "nested deeper than 64 levels" in problems


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_without_a_crash(opening: str) -> None:
    root, problems = read(opening * 50_000)
    assert root is None
    assert problems


def test_a_long_file_is_refused() -> None:
    root, problems = read("#" * 2_000_000)
    assert root is None
    assert problems == "f.yaml:1:1: the file is longer than 1048576 characters"


def plain(node: object) -> object:
    """Return the content of a node as plain data."""
    if isinstance(node, ScalarNode):
        return node.value, node.text, node.position, node.span
    if isinstance(node, ListNode):
        return [plain(one) for one in node.nodes], node.position
    assert isinstance(node, MapNode)
    return {(name, node.key(name).position): plain(one) for name, one in node.values.items()}, node.position


def test_the_python_parser_agrees_with_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "name: flow\nsteps: &s\n  - {name: 'a', gate: [no, 12:30]}\nmore: *s\n"
    fast, problems = read(text)
    monkeypatch.setattr(yaml_nodes, "_Loader", yaml.SafeLoader)
    slow, none = read(text)
    assert (plain(slow), problems, none) == (plain(fast), "", "")


def test_a_lone_surrogate_is_refused() -> None:
    assert read("a: \ud800") == (None, "f.yaml:1:4: character U+D800 is not allowed in YAML")


@given(st.text())
def test_any_text_gives_a_tree_or_a_problem(text: str) -> None:
    root, problems = read(text)
    assert root is not None or problems
