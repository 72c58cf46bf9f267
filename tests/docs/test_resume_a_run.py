"""The guide "Resume and repair a run" shows the real output and names only existing messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.engine.resume import replay
from pytest_gump.engine.run.fingerprint import PARTS

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "how-to" / "resume-a-run.md").read_text(encoding="utf-8")
VARYING: Final = r" *\b(\d{8}-\d{6}-greet-\w{6}|[0-9a-f]{10}|(\d+m)?\d+(\.\d+)?s|\d+m)\b *"


def shown(command: str) -> list[str]:
    """Return the lines that the guide shows below a command."""
    block = re.search(rf"^```console\n\$ {re.escape(command)}\n(greet on .*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert block is not None
    return picture(block[1].splitlines())


def printed(result: pytest.RunResult) -> list[str]:
    return picture(result.outlines)


def picture(lines: list[str]) -> list[str]:
    """Return the lines of runs and steps, without text that differs between runs."""
    kept = [line for line in lines if re.match(r"greet on |run passed|[✓○→✗⟳] ", line)]
    return [re.sub(r" +", " ", re.sub(VARYING, " * ", line)).strip() for line in kept]


def first_column(heading: str) -> list[str]:
    """Return the text in backticks in the first column of the first table after a heading."""
    table = GUIDE.partition(f"{heading}\n")[2].partition("\n|---|---|\n")[2].partition("\n\n")[0]
    return [word for row in table.splitlines() for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.fixture
def failed(gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> GumpProject:
    """Run the workflow of the guide. All attempts of its second step fail."""
    monkeypatch.setenv("COLUMNS", "100")
    workflow = re.search(r"^```yaml\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert workflow is not None
    gump_project.write({"app.py": "value = 1\n"})
    gump_project.workflow("greet", workflow[1])
    gump_project.answer("tests", writes={"test_it.py": "x = 1\n"})
    for attempt in (1, 2):
        gump_project.answer("impl", attempt=attempt, writes={"it.py": "def broken(:\n"})
    gump_project.run("greet").assert_outcomes(passed=1, failed=1, skipped=1)
    return gump_project


def test_the_run_of_the_guide_is_resumed_as_shown(failed: GumpProject) -> None:
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    assert printed(failed.pytester.runpytest("--gump-resume")) == shown("pytest --gump-resume")


def test_an_edited_workflow_is_reported_as_shown(failed: GumpProject) -> None:
    path = failed.path / ".gump" / "workflows" / "greet.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("Write tests", "Write good tests"), encoding="utf-8")
    result = failed.pytester.runpytest("--gump-resume", "--gump-dry-run")
    assert printed(result) == shown("pytest --gump-resume --gump-dry-run")


def test_each_part_of_the_fingerprint_is_in_its_table() -> None:
    heading = "## What is reused, and what is not"
    assert first_column(heading) == [*PARTS, "base tree"]


def test_each_reason_for_a_new_run_of_a_step_is_in_its_table() -> None:
    table = GUIDE.partition("| after `re-run:` | meaning |")[2].partition("\n\n")[0]
    assert {replay.IN_FLIGHT, replay.REFUSED, replay.ASKED} <= set(re.findall(r"`([^`]+)`", table))


def test_each_message_in_the_guide_exists() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pytest_gump").rglob("*.py"))
    pieces = [piece for message in first_column("## Troubleshooting") for piece in message.split("...")]
    unknown = [piece for piece in map(str.strip, pieces) if piece and not is_in_source(piece, source)]
    assert not unknown


def is_in_source(piece: str, source: str) -> bool:
    """True if the source contains the message without its placeholders."""
    words = re.sub(r"^(the spec of )?(run|re-run:|gates) *|/\.gump/runs$| \(pid 4711\)$", "", piece).strip()
    return not words or words in source or words.removesuffix(" changed") in source
