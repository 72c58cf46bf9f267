from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.files import read_or_none

if TYPE_CHECKING:
    from pathlib import Path


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    assert read_or_none(tmp_path, "a/b") == b"x"


@pytest.mark.parametrize("name", ["link", "linked/b", "fifo", "folder", "gone", "big", "nul\0", "", "a//b"])
def test_anything_else_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "linked").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "big").write_bytes(b"x" * 11)
    assert read_or_none(tmp_path, name, max_bytes=10) is None
