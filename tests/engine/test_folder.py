"""Names and order of runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_gump.engine.folder import RunFolder, new_run_id, run_folders

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_of_one_second_are_in_the_order_in_which_they_began(tmp_path: Path) -> None:
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
