from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.system.trash import delete, is_trash, move_to_trash, trash_name

if TYPE_CHECKING:
    from pathlib import Path


def test_trash_is_recognized_by_its_name() -> None:
    name = trash_name("w1")
    assert name != trash_name("w1")
    assert is_trash(name)
    assert is_trash(name, "w1")
    assert not is_trash(name, "w")
    assert not is_trash("w1")
    assert not is_trash(".trash")


def test_folder_is_renamed_and_then_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "file").touch()
    aside = move_to_trash(folder)
    assert not folder.exists()
    assert aside.parent == tmp_path
    assert is_trash(aside.name, "run")
    assert (aside / "file").exists()
    assert delete(aside)
    assert delete(aside), "a folder deleted by another process is not an error"
    assert list(tmp_path.iterdir()) == []
