"""Files of a run that are removed or replaced during the run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.engine.record.run_folder import RunFolder
from pytest_gump.engine.run.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path, "20261122-061512-tdd-7f3a0c")
    folder.write_header({"format": 1}, workflow="name: tdd\n", spec=b"# Spec\n")
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
    folder.keep_versions(workflow="name: tdd\n", spec=b"# Spec\n")
    second = Journal(folder, lambda: 2.0)
    folder_removed(folder)
    second.append("two")
    assert events(folder) == ["one", "two"]
