"""Files of a run that are removed or replaced during the run."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.fold import advance
from pytest_gump.engine.record.ledger import json_text, read_ledger
from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
from pytest_gump.engine.record.run_folder import RunFolder
from pytest_gump.engine.run.journal import Journal, decision_fields, validated_fields
from pytest_gump.engine.schedule.records import Ready, Settled, Validated
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.workflow.model import GateSpec, Step
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COPIES: Final = {"workflow.yaml": b"name: tdd\n", "spec.md": b"# Spec\n"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path, "20261122-061512-tdd-7f3a0c")
    folder.write_header({"format": 1}, COPIES)
    return folder


def events(folder: RunFolder) -> list[str]:
    return [event["event"] for event in read_ledger(folder.ledger)]


def folder_removed(folder: RunFolder) -> None:
    shutil.rmtree(folder.path)


def all_runs_removed(folder: RunFolder) -> None:
    shutil.rmtree(folder.path.parent.parent)


def ledger_removed(folder: RunFolder) -> None:
    folder.ledger.unlink()


def ledger_cut(folder: RunFolder) -> None:
    folder.ledger.write_bytes(b"")


def ledger_replaced(folder: RunFolder) -> None:
    folder.ledger.rename(folder.path / "aside")
    folder.ledger.write_bytes(b'{"event": "forged", "at": 1.0}\n')


def ledger_is_a_link(folder: RunFolder) -> None:
    target = folder.path.parent.parent / "target"
    target.write_text("the user's")
    folder.ledger.unlink()
    folder.ledger.symlink_to(target)


def ledger_is_a_folder(folder: RunFolder) -> None:
    folder.ledger.unlink()
    folder.ledger.mkdir()


def header_removed(folder: RunFolder) -> None:
    (folder.path / "run.json").unlink()


def spec_is_a_link(folder: RunFolder) -> None:
    (folder.path / "spec.md").unlink()
    (folder.path / "spec.md").symlink_to(folder.path / "workflow.yaml")


DAMAGES = [folder_removed, all_runs_removed, ledger_removed, ledger_cut, ledger_replaced, ledger_is_a_link]
DAMAGES += [ledger_is_a_folder, header_removed, spec_is_a_link]


@pytest.mark.parametrize("damage", DAMAGES)
def test_lost_files_are_reported_and_written_again(folder: RunFolder, damage: Callable[[RunFolder], None]) -> None:
    journal = Journal(folder, lambda: 1.0)
    journal.append("one")
    assert journal.check() == ""
    damage(folder)
    assert journal.check().endswith("restored from memory, files of earlier attempts may be missing")
    journal.append("two")
    lost = journal.lost
    journal.append("three")
    journal.close()
    assert journal.lost == lost
    assert events(folder) == ["one", "two", "three"]
    assert folder.read_header() == {"format": 1}
    assert (folder.path / "spec.md").read_bytes() == b"# Spec\n"
    assert not (folder.path / "spec.md").is_symlink()
    assert folder.attempts.is_dir()


def test_second_loss_does_not_hide_the_first_one(folder: RunFolder) -> None:
    journal = Journal(folder, lambda: 1.0)
    header_removed(folder)
    first = journal.check()
    ledger_removed(folder)
    assert journal.check() == first
    assert first.startswith("run.json of the run's folder was removed during the run; ")
    folder_removed(folder)
    folder.path.write_text("")
    assert journal.check().startswith("run.json of the run's folder was removed during the run; ")
    assert "nothing else can be kept" in journal.lost


def test_target_of_a_link_is_not_changed(folder: RunFolder) -> None:
    journal = Journal(folder, lambda: 1.0)
    ledger_is_a_link(folder)
    journal.append("one")
    assert (folder.path.parent.parent / "target").read_text() == "the user's"
    assert events(folder) == ["one"]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_report_says_if_files_cannot_be_written_again(folder: RunFolder, tmp_path: Path, kind: str) -> None:
    journal = Journal(folder, lambda: 1.0)
    folder_removed(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.path.symlink_to(elsewhere) if kind == "link" else folder.path.write_text("")
    assert journal.append("one")["event"] == "one"
    assert "nothing else can be kept" in journal.lost
    journal.append("two")
    assert [*elsewhere.iterdir()] == []


def test_restored_ledger_has_the_events_of_earlier_sessions(folder: RunFolder) -> None:
    first = Journal(folder, lambda: 1.0)
    first.append("one")
    first.close()
    folder.keep_versions(COPIES)
    second = Journal(folder, lambda: 2.0)
    folder_removed(folder)
    second.append("two")
    assert events(folder) == ["one", "two"]


def validated_event(**changes: object) -> dict[str, Any]:
    """Return the event after the last validator of attempt 1: its review did not pass."""
    step = Step("impl", gate=(GateSpec("validate", "arch"),))
    checked = Ready(StepPath(("impl",)), step, 1, "haiku", "diff", "a" * 40, "a" * 40)
    answer = GateResult("validate: arch", "failed", "no", "no, because")
    outcome, timings = Outcome.REVIEW_FAILED, Timings(0.0, 1.0)
    gates = (GateResult("test", "passed"), answer)
    result = AttemptResult("impl", 1, outcome, "validator arch did not pass: no", "haiku", timings, gates=gates)
    settled = Settled("failed", outcome, result.reason)
    fields = validated_fields(Validated(checked, result, "b" * 40, settled), lambda *_: AttemptRecord(**FIRST))
    part = decision_fields(2, Settled("again"), result, "b" * 40)
    event = {"event": "decided", "at": 3.0, "head": "a" * 40, "replanned": None, **part, **fields}
    event["validated"] = {**event["validated"], **changes}
    read: dict[str, Any] = json.loads(json_text(event))
    return read


FIRST: Final[dict[str, Any]] = {
    "number": 1, "step": "impl", "attempt": 1, "mode": "diff", "agent": "haiku", "entry": "first", "started": 0.0,
}  # fmt: skip


def test_the_end_of_the_last_validator_settles_the_checked_attempt() -> None:
    event = validated_event()
    assert is_event(event)
    assert [gate["name"] for gate in event["validated"]["gates"]] == ["validate: arch"], "the others are recorded"
    record = RunRecord(attempts=[AttemptRecord(**FIRST), AttemptRecord(**FIRST | {"number": 2, "step": "impl--x::y"})])
    record.steps = {
        path: StepRecord(path, "diff", [attempt]) for attempt in record.attempts for path in (attempt.step,)
    }
    passed = AttemptResult(
        "impl", 1, Outcome.PASSED, "", "haiku", Timings(0.0, 1.0), gates=(GateResult("test", "passed"),)
    )
    record.end_attempt(1, to_wire(passed), 0.0)
    advance(record, event)
    result = record.attempts[0].result
    assert result is not None
    assert (result.outcome, [gate.status for gate in result.gates]) == ("review_failed", ["passed", "failed"])
    assert (record.steps["impl"].status, record.steps["impl"].outcome) == ("failed", "review_failed")
    assert record.steps["impl--x::y"].status == "running", "a part alone fails nothing"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0}, {"number": "1"}, {"verdict": None}, {"outcome": 1}, {"why": None}, {"gates": None},
        {"gates": [{"name": "x"}]}, {"commit": "HEAD"}, {"failed": ["../x"]}, {"decisions": [{"scope": "a"}]},
    ],
)  # fmt: skip
def test_a_damaged_end_of_the_last_validator_is_no_event(changes: dict[str, object]) -> None:
    assert not is_event(validated_event(**changes))
