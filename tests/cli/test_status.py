"""`gump status`: all runs, as a table and as JSON."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from jsonschema import Draft202012Validator
from pytest_gump.engine.record.ledger import Ledger
from pytest_gump.engine.reporting import status_schema

if TYPE_CHECKING:
    import pytest

    from .conftest import Gump


def test_status_lists_runs_with_status_and_cost(failed: Gump) -> None:
    head, row = failed.good("status").splitlines()
    assert head.split() == ["run", "workflow", "status", "step", "attempt", "cost", "time"]
    assert row.split()[1:6] == ["pair", "failed", "second", "1", "$0.02"]


def test_a_run_whose_process_has_ended_is_interrupted(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    lines = ledger.read_text().splitlines(keepends=True)
    started = re.sub(r'"pid":\d+', '"pid":99999999', lines[0])
    ledger.write_text(started + "".join(lines[1:4]))
    assert passed.good("status").splitlines()[1].split()[2:4] == ["interrupted", "first"]


def test_status_names_the_process_and_the_number_of_running_steps(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    attempt = next(event for event in events if event["event"] == "attempt_started")
    living = {**events[0], "pid": os.getpid(), "pid_created": psutil.Process().create_time()}
    others = [{**attempt, "step": f"step-{number}", "number": number} for number in (1, 2, 3)]
    ledger.write_text("".join(json.dumps(event) + "\n" for event in (living, *others)))
    head, row = passed.good("status").splitlines()
    assert head.split()[-1] == "pid"
    assert re.search(rf" running +step-1 and 2 more +1 .* {os.getpid()}$", row)


def test_status_of_a_killed_run_names_the_interrupted_step(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    started, finished, decided = (
        next(event for event in events if event["event"] == name)
        for name in ("attempt_started", "attempt_finished", "decided")
    )
    dead = {**events[0], "pid": 99999999}
    begun = [{**started, "step": f"step-{number}", "number": number} for number in (1, 2, 3, 4)]
    settled = [{**finished, "number": 4}, {**decided, "number": 4}, {**finished, "number": 3}]
    ledger.write_text("".join(json.dumps(event) + "\n" for event in (dead, *begun, *settled)))
    assert re.search(r" interrupted +step-1 and 2 more +1 ", passed.good("status").splitlines()[1])
    (run,) = json.loads(passed.good("status", "--json"))["runs"]
    assert [one["step"] for one in run["running"]] == ["step-1", "step-2", "step-3"]


def test_a_run_with_an_open_empty_ledger_is_running(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    ledger.write_text("")
    assert passed.good("status").splitlines()[1].split()[1] == "interrupted"
    with closing(Ledger(ledger, time.time)):
        assert passed.good("status").splitlines()[1].split()[1] == "running"


def test_a_broken_run_does_not_hide_the_others(passed: Gump) -> None:
    folder = passed.project.folders()[0].path
    broken = folder.with_name("20990101-000000-x-0000")
    broken.mkdir()
    (broken / "run.json").write_text("{")
    output = passed.good("status")
    assert re.search(r"^20990101-000000-x-0000 +unreadable", output, re.MULTILINE)
    assert re.search(rf"^{folder.name} +pair +passed", output, re.MULTILINE)


def test_status_shows_the_newest_runs_and_how_to_list_older_ones(passed: Gump) -> None:
    passed.project.run("pair").assert_outcomes(passed=2)
    _, row, older = passed.good("status", "-n", "1").splitlines()
    assert row.split()[0] == passed.project.folders()[0].run_id
    assert older == "1 older run: gump status -n 2"


def test_status_without_runs_shows_how_to_start_one(gump: Gump) -> None:
    assert "no runs yet; start one: pytest --gump-workflow=tdd spec.md" in gump.good("status")


def test_json_of_status_matches_its_schema(failed: Gump) -> None:
    folder = failed.project.folders()[0].path
    broken = folder.with_name("20990101-000000-x-0000")
    broken.mkdir()
    (broken / "run.json").write_text("{")
    data = json.loads(failed.good("status", "--json"))
    assert [*Draft202012Validator(status_schema.json_schema(strict=True)).iter_errors(data)] == []
    assert [(one["id"], one["status"], one["steps"]) for one in data["runs"]] == [
        (folder.name, "failed", {"passed": 1, "failed": 1})
    ]
    assert data["runs"][0]["cost"] == {"usd": 0.02, "provenance": "reported", "unknown_attempts": 0}
    assert [one["id"] for one in data["unreadable"]] == [broken.name]
    assert json.loads(failed.good("status", "--json", "-n", "1"))["older"] == 1


def test_json_of_status_is_an_object_without_runs(gump: Gump) -> None:
    assert json.loads(gump.good("status", "--json")) == {"schema": 2, "runs": [], "unreadable": [], "older": 0}


def test_status_reads_only_the_runs_that_it_shows(passed: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    original = passed.project.folders()[0]
    for number in range(50):
        older = original.path.with_name(f"20200101-{number:06d}-pair-{number:06x}")
        older.mkdir()
        for name in ("run.json", "ledger.ndjson"):
            (older / name).write_text((original.path / name).read_text())
    opened: list[Path] = []
    read_bytes = Path.read_bytes

    def noting(path: Path) -> bytes:
        opened.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noting)
    assert passed.good("status", "-n", "3").splitlines()[-1] == "48 older runs: gump status -n 51"
    assert len([path for path in opened if path.name == "run.json"]) == 3
