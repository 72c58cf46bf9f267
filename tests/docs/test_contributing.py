"""CONTRIBUTING.md: the map of the folders, and the recipes."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest
import pytest_gump

PACKAGE = Path(pytest_gump.__file__).parent
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^\*\*Add an? (.+)\*\*\n((?:\d\. .+\n)+)", PAGE, re.MULTILINE))


def test_the_map_has_each_package_with_its_docstring() -> None:
    packages = {
        path.parent.relative_to(PACKAGE.parent).as_posix(): ast.get_docstring(ast.parse(path.read_text("utf-8")))
        for path in PACKAGE.rglob("__init__.py")
        if path.parent != PACKAGE
    }
    assert dict(re.findall(r"^\| `(pytest_gump/[^`]+)/` \| (.*) \|$", PAGE, re.MULTILINE)) == packages


@pytest.mark.parametrize("title", ["gate", "agent CLI", "YAML key", "hook", "outcome"])
def test_a_recipe_has_five_lines_and_names_existing_files(title: str) -> None:
    assert [line[:2] for line in RECIPES[title].splitlines()] == ["1.", "2.", "3.", "4.", "5."]
    paths = re.findall(r"`([\w.-]+/[^`\s]*|\w+\.md)`", RECIPES[title])
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert len(paths) >= 5


def test_the_page_of_tests_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "tests_of.py"))
    assert (ROOT / "tests" / "README.md").read_text(encoding="utf-8") == script["page"](), "run tools/tests_of.py"
