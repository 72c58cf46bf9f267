"""`make demo`: nothing about its outcome is written down anywhere but in what the agents leave behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CASSETTE = EXAMPLES / "timesheet" / "cassette"


def demo(folder: Path, cassette: Path = CASSETTE) -> subprocess.CompletedProcess[str]:
    return run(folder.parent, EXAMPLES / "demo.sh", folder, cassette)


def run(home: Path, *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST_"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean | {"PATH": path, "COLUMNS": "100", "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def broken(folder: Path, take: str, file: str, old: str, new: str) -> Path:
    """A copy of the cassette in which one file of one take says something else."""
    cassette = folder / "cassette"
    shutil.copytree(CASSETTE, cassette)
    path = cassette / take / "files" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return cassette


def lines_about(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def picture(text: str, first: str = r"tdd on spec\.md: run ", last: str = "run passed ") -> list[str]:
    """The lines from one to another, by default those of the run, without what differs from run to run."""
    found = re.search(rf"^{first}.*?^{last}.*?$", text, re.DOTALL | re.MULTILINE)
    assert found is not None, text
    kept = [line for line in found[0].splitlines() if not line.startswith("=") and line.strip()]
    varying = r" *\b(\d{8}-\d{6}-tdd-\w{6}|[0-9a-f]{10}|(\d+m)?\d+(\.\d+)?s|\d+m)\b *"
    return [re.sub(r" +", " ", re.sub(varying, " * ", line)) for line in kept]


def test_demo_passes_with_an_escalation_and_a_retry(tmp_path: Path) -> None:
    done = demo(tmp_path / "demo")
    assert done.returncode == 0, done.stdout
    assert lines_about(done.stdout, "impl", "claude-sonnet", "escalated, attempt 4")
    assert lines_about(done.stdout, "impl", "claude-haiku", "attempt 2")
    for failed in ("3 failed, 34 passed", "2 failed, 35 passed", "1 failed, 36 passed", "4 failed, 39 passed"):
        assert lines_about(done.stdout, failed)
    assert lines_about(done.stdout, "run passed", "3 items", "1 escalation")
    merged = tmp_path / "demo" / "timesheet" / "src" / "timesheet"
    assert {"durations.py", "billing.py", "statement.py"} <= {path.name for path in merged.iterdir()}
    assert lines_about(done.stdout, "43 passed")
    for page in ("README.md", "docs/tutorial/demo.md"):
        assert picture((ROOT / page).read_text(encoding="utf-8")) == picture(done.stdout), page
    report = run(tmp_path, "gump", "report", cwd=tmp_path / "demo" / "timesheet").stdout
    page = (ROOT / "docs" / "tutorial" / "demo.md").read_text(encoding="utf-8")
    assert picture(page, "step +no ", "total ") == picture(report, "step +no ", "total ")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ROUND_HALF_UP)", "'ROUND_DOWN')", "test failed: 3 failed, 40 passed"),
        ("def _amount(", "def _amount(:", "compile failed: 1 of 9 Python files"),
        ("from collections import", "import os\nfrom collections import", "lint failed: Found 1 error"),
    ],
    ids=["wrong-result", "not-python", "unused-import"],
)
def test_broken_final_change_fails_at_the_gate_that_should_catch_it(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    cassette = broken(tmp_path, "11-build-impl-statement-a2", "src/timesheet/statement.py", old, new)
    done = demo(tmp_path / "demo", cassette)
    assert done.returncode == 1, done.stdout
    assert lines_about(done.stdout, reason), done.stdout
    assert not lines_about(done.stdout, "$ gump apply")
    assert not lines_about(done.stdout, "run passed")
