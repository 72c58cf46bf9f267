"""The generated parts of docs/explanation/architecture.md, and the script that writes them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "architecture.py"))


def test_the_page_is_up_to_date() -> None:
    text = SCRIPT["PAGE"].read_text(encoding="utf-8")
    assert SCRIPT["page"](text) == text, "run tools/architecture.py"


@pytest.mark.parametrize("title", SCRIPT["PATHS"])
def test_steps_of_paths_follow_the_imports(title: str) -> None:
    assert SCRIPT["wrong_steps"](SCRIPT["PATHS"][title]) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("plugin > conductor", []),
        ("conductor > plugin", ["conductor > plugin"]),
        ("plugin ~ conductor", ["plugin ~ conductor"]),
        ("plugin > no.module", ["no.module"]),
        ("plugin > conductor = plugin", []),
        ("plugin = conductor", ["plugin = conductor"]),
    ],
)
def test_wrong_steps_are_found(path: str, wrong: list[str]) -> None:
    assert SCRIPT["wrong_steps"](path) == wrong


def test_implied_edges_are_omitted() -> None:
    graph = {"top": {"middle", "bottom"}, "middle": {"bottom"}, "bottom": set()}
    assert SCRIPT["without_implied"](graph) == {"top": {"middle"}, "middle": {"bottom"}, "bottom": set()}
