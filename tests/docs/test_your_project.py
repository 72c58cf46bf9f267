"""The tutorial "A first run in your own project" as a session, and the outcomes in the guide to why runs fail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.order import Outcome

if TYPE_CHECKING:
    import pytest
    from pytest_gump.testing import GumpProject

DOCS: Final = Path(__file__).parents[2] / "docs"
TUTORIAL: Final = (DOCS / "tutorial" / "your-project.md").read_text(encoding="utf-8")
WHY: Final = (DOCS / "how-to" / "find-out-why.md").read_text(encoding="utf-8")
FOLDED: Final = 'import re\n\n\ndef slug(title):\n    return re.sub(r"[^a-z0-9]+", "-", title.lower())'
TEST: Final = """\
from slug import slug


def test_spaces_become_hyphens():
    assert slug("Hello big World") == "hello-big-world"
"""
MORE: Final = """

def test_several_in_a_row_become_one():
    assert slug("a,  b") == "a-b"


def test_no_hyphen_stands_at_an_end():
    assert slug(" What? ") == "what"
"""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", TUTORIAL, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def picture(text: str) -> list[str]:
    """Return the lines of a run without text that differs between runs."""
    kept = [line for line in text.splitlines() if re.match(r"freeform on |[✓⟳→] |run passed", line)]
    varying = r" *\b(\d{8}-\d{6}-freeform-\w{6}|[0-9a-f]{10}|(\d+m)?\d+(\.\d+)?s|\d+m)\b *"
    return [re.sub(r" +", " ", re.sub(varying, " * ", line)).strip() for line in kept]


def test_the_run_of_the_tutorial_ends_as_shown(gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    gump_project.write({"slug.py": block("python"), "test_slug.py": TEST, "spec.md": block("markdown")})
    gump_project.commit("slugs")
    gump_project.answer(
        "execute", writes={"slug.py": f"{FOLDED}\n", "test_slug.py": TEST + MORE}, turns=5, cost_usd=0.11
    )
    gump_project.answer("execute", attempt=2, writes={"slug.py": f'{FOLDED}.strip("-")\n'}, turns=3, cost_usd=0.06)
    result = gump_project.run("freeform", "--gump-max-budget=1")
    assert picture(result.stdout.str()) == picture(TUTORIAL)


def test_each_outcome_of_a_failure_is_in_the_guide() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", WHY, re.MULTILINE))
    assert rows == {*Outcome} - {Outcome.PASSED, Outcome.CANCELLED, Outcome.SKIPPED, Outcome.AWAITING}
