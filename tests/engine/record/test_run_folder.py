"""Names and order of runs, and the files of attempts."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.record.run_folder import RunFolder, find_run, run_folders
from pytest_gump.engine.record.run_id import new_run_id
from pytest_gump.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_of_one_second_are_listed_in_the_order_of_their_start(tmp_path: Path) -> None:
    moments = [datetime(2026, 11, 22, 6, 15, 12, part, tzinfo=UTC) for part in (10_000, 500_000, 990_000)]
    names = [
        new_run_id(name, now=now, chance=chance)
        for name, now, chance in zip("zma", moments, ("ffff", "8888", "0000"), strict=True)
    ]
    later = new_run_id("a-b", now=datetime(2026, 11, 22, 6, 15, 13, 0, tzinfo=UTC), chance="0000")
    assert names[0] == "20261122-061512-z-02ffff"
    for name in (later, names[1], names[2], names[0]):
        folder = RunFolder.create(tmp_path, name)
        (folder.path / "run.json").write_text("{}", encoding="utf-8")
    assert [folder.run_id for folder in run_folders(tmp_path)] == [later, *reversed(names)]


@pytest.fixture(params=[10, 100])
def many(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    names = [f"20261122-{number:06d}-tdd-{number:06x}" for number in range(request.param)]
    for name in names:
        (tmp_path / ".gump/runs" / name).mkdir(parents=True)
        (tmp_path / ".gump/runs" / name / "run.json").write_text("{}")
    return names


@pytest.mark.parametrize(("name", "looks"), [(None, 1), ("20261122-000004-tdd-000004", 2), ("000004", 2)])
def test_finding_a_run_reads_a_constant_number_of_runs(
    many: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, looks: int
) -> None:
    looked: list[str] = []
    isfile = os.path.isfile

    def recording(path: str) -> bool:
        looked.append(path)
        return isfile(path)

    monkeypatch.setattr(os.path, "isfile", recording)
    assert find_run(tmp_path, name).run_id == (many[-1] if name is None else "20261122-000004-tdd-000004")
    assert len(looked) == looks


def test_full_id_is_that_run_even_if_other_ids_begin_or_end_with_it(many: list[str], tmp_path: Path) -> None:
    longer = tmp_path / ".gump/runs" / f"{many[3]}x"
    longer.mkdir()
    (longer / "run.json").write_text("{}")
    (tmp_path / ".gump/runs" / f"{many[4]}x").mkdir()
    assert find_run(tmp_path, many[3]).run_id == many[3]
    assert find_run(tmp_path, many[4][:-1]).run_id == many[4]
    with pytest.raises(RunError, match="matches 2 runs"):
        find_run(tmp_path, many[3][:-1])


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The files of an attempt, after an agent has replaced some by links and a FIFO."""
    folder = tmp_path / "scratch"
    (folder / "out").mkdir(parents=True)
    (folder / "out" / "notes.txt").write_text("notes")
    os.mkfifo(folder / "stream.ndjson")
    (folder / "prompt.md").symlink_to(tmp_path / "letter.txt")
    (folder / "gates").symlink_to(tmp_path / "mine")
    (tmp_path / "mine").mkdir()
    return folder


def take_artifacts(folder: RunFolder, scratch: Path) -> str:
    return folder.take_artifacts(scratch, number=1, step="s", attempt=1)


def test_files_of_an_attempt_are_stored_without_links_and_fifos(tmp_path: Path, scratch: Path) -> None:
    folder = RunFolder.create(tmp_path, "20261122-061512-a-b-0000")
    name = take_artifacts(folder, scratch)
    kept = folder.attempts / name
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*")) == ["out", "out/notes.txt"]


@pytest.mark.parametrize("is_whole", [True, False], ids=["the run's folder", "its attempts"])
def test_nothing_is_written_through_a_linked_folder(tmp_path: Path, scratch: Path, *, is_whole: bool) -> None:
    folder = RunFolder.create(tmp_path, "20261122-061512-a-b-0000")
    place = folder.path if is_whole else folder.attempts
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "mine")
    if is_whole:
        with pytest.raises(RunError, match="cannot write"):
            take_artifacts(folder, scratch)
    else:
        take_artifacts(folder, scratch)
    assert [*(tmp_path / "mine").iterdir()] == []
