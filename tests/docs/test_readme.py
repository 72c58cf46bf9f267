"""The tables of the README match the package."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import yaml
from pytest_gump.agents import registry
from pytest_gump.agents.family import FAMILIES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    table = re.search(r"(?:^\|.*\n)+", README.partition(f"\n## {heading}\n")[2], re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table[0].splitlines()[2:]]


def test_the_animation_shows_the_run_of_the_page() -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)", (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8"))
    shown = " ".join(" ".join(unescape(text).split()) for text in texts)
    run = re.search(r"^✓ decompose.*^✓ quality.*?$", README, re.DOTALL | re.MULTILINE)
    assert run is not None
    parts = [
        re.sub(r" [\d.]+s$", "", part) for line in run[0].splitlines() for part in re.split(r" {2,}", line.strip())
    ]
    assert [part for part in parts if part not in shown] == []
    assert len(set(parts)) > 25


def test_each_built_in_workflow_has_a_row_with_description_and_limit() -> None:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob("workflows/*.yaml")]
    expected = [[f"`{file['name']}`", file["description"], f"${file['max_budget']:g}"] for file in files]
    assert sorted(rows("Workflows")) == sorted(expected)


def test_each_agent_cli_has_a_row_with_existing_names() -> None:
    names = [re.findall(r"`([^`]+)`", row[0]) for row in rows("Agents")]
    assert {first for first, *_ in names} == set(FAMILIES)
    assert [name for row in names for name in row if registry.problem(name)] == []
