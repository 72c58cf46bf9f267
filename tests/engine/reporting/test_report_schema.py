"""The JSON Schema of `gump report --json` is current, describes every field, and accepts real reports."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pytest_gump.cli.output import Out
from pytest_gump.cli.report_text import write_report
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.reporting import report_schema
from pytest_gump.engine.reporting.report_data import report_data
from pytest_gump.engine.reporting.status_data import run_status
from pytest_gump.engine.reporting.summary import runs_data
from pytest_gump.reporters.ci_summary import cells
from pytest_gump.reporters.lines import attempt_lines, failed_lines, run_line, waiting_lines
from pytest_gump.text import UNICODE

from tests.engine.recorded_run import RecordedRun, killed_after, outcomes
from tests.engine.reporting.test_report_data import FAILED, PASSED, run
from tests.engine.schedule.test_schedule_properties import workflows
from tests.kits.examples import examples

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Workflow

FILE = Path(__file__).parents[3] / "docs" / "reference" / "report.schema.json"


def problems(data: Any, *, strict: bool = True) -> list[str]:
    validator = Draft202012Validator(report_schema.json_schema(strict=strict))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(json.dumps(data)))]


def report() -> dict[str, Any]:
    record = run(
        [("impl", "first", "retried", FAILED), ("impl", "same", "passed", PASSED), ("last", "first", "", None)]
    )
    return json.loads(json.dumps(report_data(record, {}, state="running")))  # type: ignore[no-any-return]


def test_schema_file_is_current() -> None:
    """Run `python -m pytest_gump.engine.reporting.report_schema > docs/reference/report.schema.json` when this fails."""
    assert FILE.read_text(encoding="utf-8") == report_schema.text()


def test_schema_is_valid_and_names_its_version() -> None:
    schema = report_schema.json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == report_schema.SCHEMA == report()["schema"]
    assert schema["title"].endswith(f"version {report_schema.SCHEMA}")


def test_every_field_is_described() -> None:
    schema = report_schema.json_schema()
    objects = {"Report": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, one in objects.items()
        for key, part in one["properties"].items()
        if "description" not in part
    ]
    assert silent == []


def test_report_has_exactly_the_fields_of_the_schema() -> None:
    assert problems(report()) == []
    unlike = report()
    unlike["totals"]["cost"]["eur"] = 1
    assert len(problems(unlike)) == 1


def test_public_schema_accepts_new_fields() -> None:
    newer = report()
    newer["steps"][0]["colour"] = "green"
    assert problems(newer, strict=False) == []


@pytest.mark.parametrize(
    ("place", "wrong"),
    [("run", {"status": "fine"}), ("run", {"base": None}), ("totals", {"turns": "many"})],
)
def test_invalid_report_is_rejected(place: str, wrong: dict[str, Any]) -> None:
    data = report()
    data[place] |= wrong
    assert problems(data, strict=False) != []


def test_run_without_attempts_has_a_report() -> None:
    record = replace(fold([]), run_id="r")
    assert problems(report_data(record, {}, state="running")) == []


@examples(100)
@given(workflows(), st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=3), st.booleans())
def test_every_run_can_be_reported_at_any_event(
    workflow: Workflow, seed: int, kills: list[int], at_terminal: bool
) -> None:
    walk = RecordedRun(workflow, outcomes(seed, 30, fatal=2), at_terminal=at_terminal)
    for events in kills:
        walk.run(killed_after(walk, events))
        record = walk.record
        data = report_data(record, {}, state="interrupted")
        assert problems(data) == []
        assert [one["path"] for one in data["steps"]] == [*record.steps]
        text = io.StringIO()
        write_report(json.loads(json.dumps(data)), Out(text))
        assert text.getvalue()
        assert run_status(record, state="interrupted", now=1e6)
        assert runs_data([record])
        lines = [run_line(record, UNICODE), *failed_lines(record, UNICODE, 100), *waiting_lines(record, UNICODE, 100)]
        for one in record.attempts:
            lines += attempt_lines(one, one.result, UNICODE, 100) if one.result is not None else ["running"]
        assert all(lines)
        assert all(cells(step) for step in record.steps.values())
        if walk.schedule.passed:
            break
        walk.answer()
        walk = walk.resumed()
