"""The JSON Schema of `gump report --json` is current, says what every field means, and holds real reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.reporting import report_schema
from pytest_gump.engine.reporting.report_data import report_data

from tests.engine.reporting.test_report_data import FAILED, PASSED, run

FILE = Path(__file__).parents[3] / "docs" / "reference" / "report.schema.json"


def problems(data: Any, *, strict: bool = True) -> list[str]:
    validator = Draft202012Validator(report_schema.json_schema(strict=strict))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(json.dumps(data)))]


def report() -> dict[str, Any]:
    record = run(
        [("impl", "first", "retried", FAILED), ("impl", "same", "passed", PASSED), ("last", "first", "", None)]
    )
    return json.loads(json.dumps(report_data(record, {}, state="running")))  # type: ignore[no-any-return]


def test_the_schema_file_is_current() -> None:
    """Run `python -m pytest_gump.engine.reporting.report_schema > docs/reference/report.schema.json` when this fails."""
    assert FILE.read_text(encoding="utf-8") == report_schema.text()


def test_the_schema_is_one_and_names_its_version() -> None:
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


def test_a_report_holds_what_the_schema_says_and_nothing_else() -> None:
    assert problems(report()) == []
    unlike = report()
    unlike["totals"]["cost"]["eur"] = 1
    assert len(problems(unlike)) == 1


def test_a_reader_is_not_disturbed_by_a_new_field() -> None:
    newer = report()
    newer["steps"][0]["colour"] = "green"
    assert problems(newer, strict=False) == []


@pytest.mark.parametrize(
    ("place", "wrong"),
    [("run", {"status": "fine"}), ("run", {"base": None}), ("totals", {"turns": "many"})],
)
def test_a_wrong_report_is_refused(place: str, wrong: dict[str, Any]) -> None:
    data = report()
    data[place] |= wrong
    assert problems(data, strict=False) != []


def test_a_run_that_has_done_nothing_yet_has_a_report() -> None:
    record = replace(fold([]), run_id="r")
    assert problems(report_data(record, {}, state="running")) == []
