"""Comparison of files after setup without reading them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.system.worktrees import setup_files

if TYPE_CHECKING:
    from pathlib import Path


def look(root: Path) -> setup_files.Stamps:
    return setup_files.stamps(str(root), ["deps", "one.txt", "gone"])


def test_added_changed_and_removed_files_are_distinguished(tmp_path: Path) -> None:
    for name in ("deps/a/x", "deps/a/y", "deps/b", "one.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    before = setup_files.from_bytes(setup_files.to_bytes(look(tmp_path)))
    assert before == look(tmp_path)
    status = (tmp_path / "deps/a/x").stat()
    (tmp_path / "deps/a/x").write_text("DEPS/A/X")
    os.utime(tmp_path / "deps/a/x", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "deps/a/y").unlink()
    (tmp_path / "deps/new/deep").mkdir(parents=True)
    (tmp_path / "deps/new-file").write_text("")
    (tmp_path / "deps/b").unlink()
    (tmp_path / "deps/b").symlink_to("a")
    now = look(tmp_path)
    assert setup_files.changed(before, now) == ["deps/a/x", "deps/a/y", "deps/b"]
    assert setup_files.added(before, now) == ["deps/new", "deps/new-file"]


def test_invalid_list_is_empty() -> None:
    assert [setup_files.from_bytes(data) for data in (b"", b"[1]", b'{"a": [1', b"\xff")] == [{}] * 4
