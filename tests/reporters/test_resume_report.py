"""Resumed runs in `gump report`, `gump status`, JUnit XML and CI summaries."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from pytest_gump.cli.program import main
from pytest_gump.engine.reporting.report_data import report_data
from pytest_gump.engine.reporting.report_schema import json_schema
from pytest_gump.engine.reporting.summary import runs_data

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

THREE: Final = """\
name: three
steps:
  - {name: tests, agent: claude-haiku, prompt: Test it., gate: [compile]}
  - {name: impl, agent: claude-haiku, prompt: Build it., gate: [compile], on_failure: {retry: 2}}
  - {name: quality, gate: [compile]}
"""
HOUR: Final = 3600.0


@pytest.fixture
def failed(project: GumpProject, saved: Saved) -> GumpProject:
    """Return the project of a run whose second step failed twice, with an answer for its third attempt."""
    saved.give("failed twice", project, _fail)
    return project


def _fail(project: GumpProject) -> None:
    project.workflow("three", THREE)
    project.answer("tests", writes={"test_it.py": "x = 1\n"}, cost_usd=0.10)
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"it.py": "def broken(:\n"}, cost_usd=0.20)
    project.run("three").assert_outcomes(passed=1, failed=1, skipped=1)
    project.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"}, cost_usd=0.40)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words]) == 0
    return capsys.readouterr().out


def reported(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(printed(capsys, "report", "--json"))
    assert [*Draft202012Validator(json_schema(strict=True)).iter_errors(report)] == []
    return report


def attempts(report: dict[str, Any], field: str) -> list[tuple[str, int]]:
    return [(step["path"], one["attempt"]) for step in report["steps"] for one in step["attempts"] if one[field]]


def test_superseded_attempts_are_marked_and_their_cost_counts(
    failed: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    failed.workflow("three", THREE.replace("Test it.", "Test it well."))
    failed.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"}, cost_usd=0.10)
    assert failed.pytester.runpytest("--gump-resume", "--junitxml=j.xml").ret == pytest.ExitCode.OK
    report = reported(capsys)
    assert (report["run"]["resumed"], report["run"]["origin"]) == (1, None)
    assert attempts(report, "superseded") == [("tests", 1), ("impl", 1), ("impl", 2)]
    assert attempts(report, "reused") == []
    assert report["totals"]["cost"]["usd"] == pytest.approx(1.0)
    assert sum(one["cost"]["usd"] for one in report["agents"]) == pytest.approx(1.0)
    text = printed(capsys, "report")
    assert "passed, superseded" in text
    assert ", resumed" in text
    assert "superseded: the run was resumed" in printed(capsys, "log", "impl", "--attempt", "1")
    suite = {one.get("name"): one.get("value") for one in ET.parse(failed.path / "j.xml").iter("property")}
    assert suite["gump.resumed"] == "1"


def test_attempts_of_another_run_are_marked_and_not_counted(
    failed: GumpProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed.pytester.runpytest("--gump-resume")
    origin = failed.record().run_id
    summary = failed.path.parent / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    words = ("--gump-from=quality", "--gump-ci=github", "--junitxml=j.xml")
    assert failed.pytester.runpytest(*words).ret == pytest.ExitCode.OK
    report = reported(capsys)
    assert (report["run"]["resumed"], report["run"]["origin"]) == (0, origin)
    assert {path for path, _ in attempts(report, "reused")} == {"tests", "impl"}
    assert attempts(report, "superseded") == []
    assert report["totals"]["cost"]["usd"] == 0
    assert (report["totals"]["attempts"], report["totals"]["retries"], report["agents"]) == (1, 0, [])
    assert [step["totals"]["cost"]["usd"] for step in report["steps"]] == [0, 0, 0]
    text = printed(capsys, "report")
    assert "passed, reused" in text
    assert f"reused results of run {origin}" in " ".join(text.split())
    assert "tokens" not in text.split()
    assert f"reused from another run, which has its files: gump log {origin} 'impl' --attempt 3" in printed(
        capsys, "log", "impl"
    )
    markdown = summary.read_text()
    assert "| passed, reused |" in markdown
    assert f"reused results of run `{origin}`" in markdown
    suite = {one.get("name"): one.get("value") for one in ET.parse(failed.path / "j.xml").iter("property")}
    assert suite["gump.origin"] == origin
    (status,) = [one for one in json.loads(printed(capsys, "status", "--json"))["runs"] if one["origin"]]
    assert (status["attempts"], status["cost"]["usd"]) == (1, 0)
    assert [one["step"] for one in runs_data([failed.record()])["steps"]] == ["quality"]


def hours_ago(project: GumpProject, events: list[dict[str, Any]]) -> None:
    """Rewrite the ledger of the newest run: only these events, two hours earlier, by a process that has ended."""
    gone = {"pid_created": 1.0}
    moved = [event | {"at": event["at"] - 2 * HOUR} | (gone if "pid" in event else {}) for event in events]
    project.folders()[0].ledger.write_text("".join(json.dumps(event) + "\n" for event in moved))


def test_time_between_two_sessions_is_not_part_of_the_duration(
    failed: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    hours_ago(failed, failed.ledger())
    failed.pytester.runpytest("--gump-resume")
    record = failed.record()
    assert record.finished is not None
    assert record.finished - record.started > HOUR
    assert reported(capsys)["run"]["duration_s"] < HOUR
    assert json.loads(printed(capsys, "status", "--json"))["runs"][0]["duration_s"] < HOUR


def test_time_between_a_kill_and_the_next_session_is_not_part_of_durations(
    failed: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    run = failed.folders()[0]
    events = failed.ledger()
    (place,) = [place for place, one in enumerate(events) if one["event"] == "attempt_started" and one["number"] == 3]
    for ref in failed.git("for-each-ref", "--format=%(refname)", f"refs/gump/{run.run_id}").splitlines():
        if ref.endswith("-a2"):
            failed.git("update-ref", "-d", ref)
    (folder,) = run.attempts.glob("*-a2")
    (folder / "result.json").unlink()
    hours_ago(failed, events[: place + 1])
    lost = failed.record().attempts[2]
    for path in (folder, *folder.iterdir()):
        os.utime(path, (lost.started + 5, lost.started + 5))
    assert "interrupted" in printed(capsys, "status")
    failed.answer("impl", attempt=2, writes={"it.py": "ok = 1\n"}, cost_usd=0.40)
    assert failed.pytester.runpytest("--gump-resume").ret == pytest.ExitCode.OK
    record = failed.record()
    assert record.attempts[2].duration_s == pytest.approx(5, abs=1)
    assert record.attempts[2].usage is not None
    assert record.attempts[2].usage.cost_usd == 0.20
    assert 5 <= record.duration_s < HOUR
    assert report_data(record, {}, state="passed")["run"]["duration_s"] < HOUR
