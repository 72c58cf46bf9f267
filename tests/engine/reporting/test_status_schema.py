"""The JSON Schema of `gump status --json` is current and describes every field."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from pytest_gump.engine.record.records import RunRecord
from pytest_gump.engine.reporting import report_schema, status_schema
from pytest_gump.engine.reporting.report_data import report_data
from pytest_gump.engine.reporting.status_data import run_status

from tests.engine.reporting.test_report_data import PASSED, run

DOCS = Path(__file__).parents[3] / "docs" / "reference"


def test_status_schema_file_is_current() -> None:
    """Run `python -m pytest_gump.engine.reporting.status_schema > docs/reference/status.schema.json` when this fails."""
    assert (DOCS / "status.schema.json").read_text(encoding="utf-8") == status_schema.text()


def test_every_field_of_the_status_is_described_in_schema_and_docs() -> None:
    schema = status_schema.json_schema()
    fields = {**schema["properties"]}
    for part in schema["$defs"].values():
        fields |= part["properties"]
    assert [name for name, part in fields.items() if "description" not in part] == []
    page = (DOCS / "commands.md").read_text(encoding="utf-8") + (DOCS / "report-json.md").read_text(encoding="utf-8")
    assert [name for name in fields if f"`{name}`" not in page] == []


def test_status_of_a_running_run_has_its_attempts_and_its_duration_so_far() -> None:
    record = run([("a", "first", "passed", PASSED), ("b::c[x]", "first", "", None)])
    record.started, record.pid, record.steps["a"].status = 100.0, 7, "passed"
    status = run_status(record, state="running", now=160.0)
    assert (status["pid"], status["duration_s"], status["attempts"]) == (7, 60.0, 2)
    assert status["steps"] == {"passed": 1, "running": 1}
    assert [one["step"] for one in status["running"]] == ["b::c[x]"]


def test_run_without_events_has_no_times() -> None:
    status = run_status(RunRecord(run_id="r"), state="running", now=160.0)
    assert (status["started"], status["finished"], status["duration_s"]) == (None, None, 0.0)
    data = json.loads(json.dumps({"schema": 2, "runs": [status], "unreadable": [], "older": 0}))
    assert [*Draft202012Validator(status_schema.json_schema(strict=True)).iter_errors(data)] == []


def test_merge_is_a_mode_in_the_report_schema() -> None:
    record = run([("side::merge[one]", "first", "passed", PASSED)])
    record.attempts[0].mode = record.steps["side::merge[one]"].mode = "merge"
    data = json.loads(json.dumps(report_data(record, {}, state="passed")))
    assert [*Draft202012Validator(report_schema.json_schema(strict=True)).iter_errors(data)] == []
