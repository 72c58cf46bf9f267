from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.cli.output import Out, wrap
from pytest_gump.text import width


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


ROWS = [
    ("build::impl[billing]", "claude-haiku", "$0.10", "test failed: 3 failed"),
    ("build::impl[全角の名前]", "gate", "", "passed"),
]
HEAD = ("step", "agent", "cost", "outcome")


def table(columns: int, monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    Out(stream).table(HEAD, ROWS, right=("cost",), optional=("agent",))
    return stream.getvalue().splitlines()


def test_columns_are_aligned_with_wide_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    head, first, second = table(200, monkeypatch, NO_COLOR="1")
    assert head.index("agent") == first.index("claude-haiku") == width(second[: second.index("gate")])


@pytest.mark.parametrize("columns", [80, 60, 44, 20])
def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    assert max(map(width, table(columns, monkeypatch, NO_COLOR="1"))) <= columns


def test_a_shortened_path_keeps_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert table(52, monkeypatch, NO_COLOR="1")[1].split()[0].endswith("impl[billing]")


def test_an_optional_column_is_omitted_if_it_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "agent" in table(80, monkeypatch)[0]
    assert "agent" not in table(60, monkeypatch)[0]


@pytest.mark.parametrize("columns", [80, 50, 30])
def test_a_wrapped_column_keeps_every_word(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    value = "python -m pytest -q --tb=short " + "x" * 40 + " 値の名前 end"
    stream = Terminal()
    Out(stream).table(("name", "value"), [("gump_test", value), ("b", "c")], wrapped=("value",))
    lines = stream.getvalue().splitlines()
    assert all(width(line) <= columns for line in lines)
    start = lines[0].index("value")
    assert "".join(line[start:] for line in lines[1:-1]).replace(" ", "") == value.replace(" ", "")
    assert [line.split()[0] for line in lines if line[:1].strip()] == ["name", "gump_test", "b"]


@given(st.text(st.sampled_from("ab 値é-"), max_size=60), st.integers(2, 20))
def test_wrapping_keeps_every_character_and_the_width(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(width(line) <= columns for line in lines)


def test_no_color_switches_colours_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[2m" in table(80, monkeypatch)[0]
    assert "\x1b" not in table(80, monkeypatch, NO_COLOR="1")[0]


def test_output_to_a_pipe_is_neither_coloured_nor_truncated() -> None:
    stream = io.StringIO()
    Out(stream).line("x" * 500, "red")
    assert stream.getvalue() == "x" * 500 + "\n"


def test_control_sequences_and_ci_commands_are_removed() -> None:
    stream = io.StringIO()
    Out(stream).text("\x1b[2Jgone\n::error::boo\n")
    assert stream.getvalue() == "gone\n: :error::boo\n"
