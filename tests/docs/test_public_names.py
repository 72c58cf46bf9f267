"""The page of public names lists what `pytest_gump` exports, and the docs import nothing deeper."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_gump

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "public-names.md"
SHOWN = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/**/*.py")]
PUBLIC_MODULES = {"testing"}


def internal_imports(text: str) -> list[str]:
    """Return dotted paths below `pytest_gump` that code imports or that text names as `pytest_gump.module.Name`."""
    paths = re.findall(r"(?:from|import) pytest_gump\.(\w+)|pytest_gump\.(\w+)\.\w+", text)
    return [first or second for first, second in paths if (first or second) not in PUBLIC_MODULES]


def test_the_page_lists_each_public_name_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(pytest_gump.__all__)


@pytest.mark.parametrize("name", pytest_gump.__all__)
def test_a_public_name_is_the_object_of_that_name(name: str) -> None:
    value = getattr(pytest_gump, name)
    assert getattr(value, "__name__", name) == name


def test_other_names_are_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Retries'"):
        pytest_gump.Retries  # noqa: B018


def test_the_package_imports_its_modules_on_first_use() -> None:
    script = "import sys, pytest_gump; print([name for name in sys.modules if name.startswith('pytest_gump.')])"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_docs_and_examples_import_only_public_names(page: Path) -> None:
    assert internal_imports(page.read_text(encoding="utf-8")) == []


def test_internal_imports_are_found() -> None:
    text = "from pytest_gump.order import Order\nuse `pytest_gump.agents.base.Agent`, pytest_gump.testing.GumpProject"
    assert internal_imports(text) == ["order", "agents"]
