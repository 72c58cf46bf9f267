"""`make demo`: its outcome follows only from the changes of the agents."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.docs.conftest import CASSETTE, Demo, play, run

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.session


def lines_about(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def picture(text: str, first: str = r"tdd on spec\.md: run ", last: str = "run passed ") -> list[str]:
    """Return the lines from `first` to `last`, by default those of the run, without text that differs between runs."""
    found = re.search(rf"^{first}.*?^{last}.*?$", text, re.DOTALL | re.MULTILINE)
    assert found is not None, text
    kept = [line for line in found[0].splitlines() if not line.startswith("=") and line.strip()]
    varying = r" *\b(\d{8}-\d{6}-tdd-\w{6}|[0-9a-f]{10}|(\d+m)?\d+(\.\d+)?s|\d+m)\b *"
    return [re.sub(r" +", " ", re.sub(varying, " * ", line)) for line in kept]


def test_demo_passes_with_an_escalation_and_a_retry(demo: Demo) -> None:
    assert demo.code == 0, demo.printed
    assert lines_about(demo.printed, "impl", "claude-sonnet", "escalated, attempt 4")
    assert lines_about(demo.printed, "impl", "claude-haiku", "attempt 2")
    for failed in ("3 failed, 34 passed", "2 failed, 35 passed", "1 failed, 36 passed", "4 failed, 39 passed"):
        assert lines_about(demo.printed, failed)
    assert lines_about(demo.printed, "run passed", "3 items", "1 escalation")
    merged = demo.project / "src" / "timesheet"
    assert {"durations.py", "billing.py", "statement.py"} <= {path.name for path in merged.iterdir()}
    assert lines_about(demo.printed, "43 passed")
    for page in ("README.md", "docs/tutorial/demo.md"):
        assert picture((ROOT / page).read_text(encoding="utf-8")) == picture(demo.printed), page
    report = run(demo.project, "gump", "report").stdout
    page = (ROOT / "docs" / "tutorial" / "demo.md").read_text(encoding="utf-8")
    assert picture(page, "step +no ", "total ") == picture(report, "step +no ", "total ")


LAST = "11-build-impl-statement-a2"
BROKEN = {
    "wrong-result": ("ROUND_HALF_UP)", "'ROUND_DOWN')", "test failed: 3 failed, 40 passed"),
    "not-python": ("def _amount(", "def _amount(:", "compile failed: 1 of 9 Python files"),
    "unused-import": ("from collections import", "import os\nfrom collections import", "lint failed: Found 1 error"),
}


def broken_cassette(folder: Path) -> Path:
    """Copy the cassette and replace the last change with three changes, each broken in another way."""
    cassette = folder / "cassette"
    shutil.copytree(CASSETTE, cassette)
    index = json.loads((cassette / "index.json").read_text(encoding="utf-8"))
    last = index["takes"].pop()
    assert last["folder"] == LAST
    for attempt, (name, (old, new, _)) in enumerate(BROKEN.items(), start=2):
        shutil.copytree(CASSETTE / LAST, cassette / name)
        path = cassette / name / "files" / "src" / "timesheet" / "statement.py"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        agent = "claude-sonnet" if attempt == 4 else last["agent"]  # the workflow escalates this attempt
        index["takes"].append({**last, "attempt": attempt, "agent": agent, "folder": name})
    (cassette / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return cassette


def test_broken_last_changes_fail_at_the_expected_gates(tmp_path: Path) -> None:
    demo = play(tmp_path / "demo", broken_cassette(tmp_path))
    assert demo.code == 1, demo.printed
    for name, (_, _, reason) in BROKEN.items():
        assert lines_about(demo.printed, reason), name
    assert not lines_about(demo.printed, "$ gump apply")
    assert not lines_about(demo.printed, "run passed")
