"""The tables of docs/reference/agents/permissions.md are those that the conformance suite measures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_gump.conformance import CLIS
from pytest_gump.conformance.scenarios_commands import LET_THROUGH, NOT_ALLOWED, ORDINARY, REFUSED

BAR = "\\|"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "agents" / "permissions.md"


def shown(command: str) -> str:
    text = command.replace("\n", "⏎ ")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def ordinary() -> str:
    head = [f"| | {' | '.join(CLIS)} |", "|---" * (len(CLIS) + 1) + "|"]
    rows = [
        f"| {shown(one.command.replace('|', BAR))} | {' | '.join('refused' if one.command in NOT_ALLOWED[cli] else 'runs' for cli in CLIS)} |"
        for one in ORDINARY
    ]
    return "\n".join((*head, *rows))


def refused() -> str:
    return "\n".join(f"* {shown(command)}" for command in REFUSED)


@pytest.mark.parametrize(("name", "text"), [("ordinary", ordinary()), ("refused", refused())])
def test_the_page_has_the_measured_table(name: str, text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", page, re.DOTALL)
    assert found is not None
    assert found[1].strip() == text


def test_there_are_thirty_ordinary_commands_and_twenty_that_must_be_refused() -> None:
    assert (len(ORDINARY), len(REFUSED)) == (30, 20)
    assert len({one.line for one in ORDINARY}) == 30
    assert set(NOT_ALLOWED) == set(CLIS)
    assert {command for refused in NOT_ALLOWED.values() for command in refused} <= {one.command for one in ORDINARY}


def test_the_results_of_the_suite_have_the_number_of_ordinary_commands() -> None:
    results = (PAGE.parents[1] / "conformance.md").read_text(encoding="utf-8")
    counts = " | ".join(f"{len(ORDINARY) - len(NOT_ALLOWED[cli])} of {len(ORDINARY)}" for cli in CLIS)
    assert f"that run | {counts} |" in results


def test_the_page_names_each_cli_that_lets_something_through() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("Rules cannot express everything")[2]
    titles = {"qwen": "Qwen Code", "opencode": "OpenCode"}
    assert set(titles) == set(LET_THROUGH)
    assert all(f"* **{title}**" in text for title in titles.values())
