"""Readers of streams, plans, verdicts and cassettes with random input. They do not raise unexpected errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Task
from pytest_gump.agents.cassettes import neutral
from pytest_gump.agents.cassettes.cassette import Cassette
from pytest_gump.agents.family import FAMILIES
from pytest_gump.errors import ConfigError
from pytest_gump.gates.schema import parse_plan, parse_verdict
from pytest_gump.text import clean_text
from pytest_gump.workflow.path import slugify

from tests.kits.examples import examples

KEYS = st.sampled_from(
    [
        "type",
        "subtype",
        "event",
        "message",
        "content",
        "usage",
        "result",
        "session_id",
        "model",
        "cost_usd",
        "total_cost_usd",
        "tokens",
        "input",
        "output",
        "text",
        "tool",
        "path",
        "command",
        "number",
        "reason",
        "outcome",
        "is_error",
        "num_turns",
        "id",
        "name",
        "role",
        "modelUsage",
        "input_tokens",
    ]
) | st.text(max_size=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["assistant", "result", "tool_use", "tool_call", "turn", "usage", "system", "init", "success"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)
LINES = st.lists(VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60), max_size=8)


def task() -> Task:
    return Task(
        step="impl",
        item=None,
        attempt=1,
        agent="claude-haiku",
        prompt="Do it.",
        worktree=Path("/tmp/slot"),
        mode="diff",
    )


@pytest.mark.parametrize("cli", [*FAMILIES, neutral.CLI])
@examples(60)
@given(lines=LINES, exit_code=st.none() | st.integers(-20, 300), stderr=st.text(max_size=40), stopped=st.booleans())
def test_a_reader_accepts_any_stream(
    cli: str, lines: list[bytes], exit_code: int | None, stderr: str, *, stopped: bool
) -> None:
    reader = neutral.NeutralReader(task(), cli=cli) if cli == neutral.CLI else FAMILIES[cli].reads(task())
    for line in lines:
        list(reader.feed(line))
    ending = reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)
    assert ending.usage.cost_usd is None or 0 <= ending.usage.cost_usd < float("inf")
    assert ending.usage.turns >= 0


@given(data=st.binary(max_size=80) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_plans_and_verdicts_are_read_or_refused(data: bytes) -> None:
    plan, verdict = parse_plan(data), parse_verdict(data)
    assert (plan.value is None) == bool(plan.errors)
    assert (verdict.value is None) == bool(verdict.errors)


@examples(40)
@given(data=st.binary(max_size=80) | VALUES.map(lambda value: json.dumps({"version": 1, "takes": value}).encode()))
def test_an_index_of_a_cassette_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    place = tmp_path_factory.getbasetemp() / "index"
    place.mkdir(exist_ok=True)
    (place / "index.json").write_bytes(data)
    try:
        cassette = Cassette.open(place)
    except ConfigError:
        return
    assert all((place / take.folder).parent == place for take in cassette.takes)


@given(text=st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_cleaned_text_contains_no_control_characters_or_ci_commands(text: str) -> None:
    cleaned = clean_text(text + "\x1b[31m\n::error::x\r::warning::y\n##[group]z")
    assert not any(ord(char) < 32 and char not in "\n\t" for char in cleaned)
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in cleaned.splitlines())
    cleaned.encode()


@given(name=st.text(max_size=60))
def test_a_slug_is_a_plain_file_name(name: str) -> None:
    slug = slugify(name, 3)
    assert slug.strip("-") == slug
    assert slug.isascii()
    assert 0 < len(slug) <= 40
    assert not set(slug) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
