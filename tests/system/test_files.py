from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import ConfigError
from pytest_gump.system.files import read_or_none, read_user_text

if TYPE_CHECKING:
    from pathlib import Path


def test_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    assert read_or_none(tmp_path, "a/b") == b"x"


@pytest.mark.parametrize("name", ["link", "linked/b", "fifo", "folder", "gone", "big", "nul\0", "", "a//b"])
def test_anything_but_a_small_regular_file_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "linked").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "big").write_bytes(b"x" * 11)
    assert read_or_none(tmp_path, name, max_bytes=10) is None


def test_file_named_by_the_user_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfa\n")
    (tmp_path / "link").symlink_to("text")
    assert read_user_text(tmp_path / "link", 10, "it") == "a\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "the spec does not exist"),
        ("text/below", "the spec does not exist"),
        ("fifo", "the spec is not a regular file"),
        ("folder", "the spec is not a regular file"),
        ("big", "the spec has 11 bytes; the limit is 10"),
        ("nul\0", "the spec cannot be read: embedded null byte"),
        ("loop", "the spec cannot be read: Too many levels of symbolic links"),
        ("binary", "the spec is not UTF-8 text (byte 1)"),
    ],
)
def test_error_describes_the_problem_of_a_file_named_by_the_user(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "big").write_bytes(b"x" * 11)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "binary").write_bytes(b"x\xff")
    with pytest.raises(ConfigError) as error:
        read_user_text(tmp_path / name, 10, "the spec")
    assert error.value.args == (message,)
