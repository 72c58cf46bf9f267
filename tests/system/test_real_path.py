"""Resolved paths are those of `os.path.realpath`, for links and missing files too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.directory import HAS_PROC
from pytest_gump.system.real_path import real_path

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS = (
    "folder/file", "folder/new", "folder/inner", "folder/inner/", "folder/inner/..", "folder/inner/.", "none/file",
    "folder/inner/../file", "way/file", "way/new", "way/inner/../file", "way/../file", "way", "dangling", "dangling/x",
    "folder/link", "folder/dangling", "loop", "loop/x", "folder/file/x", "folder", "gone (deleted)/x", "to gone/x",
    "folder/b\udcffd", "x" * 300, "folder/" + "x" * 300, "y/" * 3000, "",
)  # fmt: skip


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("folder/inner", "elsewhere/deep", "gone (deleted)"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "folder/file").touch()
    links = {
        "way": "folder", "dangling": "elsewhere/missing", "folder/link": "../elsewhere/deep",
        "folder/dangling": "missing", "loop": "loop", "to gone": "gone (deleted)",
    }  # fmt: skip
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_paths_are_resolved_as_by_the_standard_library(base: Path, path: str) -> None:
    assert real_path(path) == os.path.realpath(path)
    assert real_path(f"{base}/{path}") == os.path.realpath(f"{base}/{path}")


@pytest.mark.parametrize("path", ["/", "/etc", "//etc", "/../etc", "/none/x"])
def test_paths_at_the_root_are_resolved(path: str) -> None:
    assert real_path(path) == os.path.realpath(path)


def fail(*_args: object, **_more: object) -> str:
    raise OSError


@pytest.mark.parametrize("act", ["open", "readlink"])
def test_path_is_resolved_by_the_standard_library_after_an_error(
    base: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    expected = os.path.realpath("way/file")
    realpath: Callable[[str], str] = os.path.realpath
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "realpath", lambda path: expected if path == "way/file" else realpath(path))
        patch.setattr(os, act, fail)
        assert real_path("way/file") == expected
    assert expected == str(base.resolve() / "folder/file")


def test_removed_working_directory_is_resolved(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base / "elsewhere/deep")
    (base / "elsewhere/deep").rmdir()
    assert real_path(f"/proc/{os.getpid()}/cwd/x") == os.path.realpath(f"/proc/{os.getpid()}/cwd/x")


@pytest.mark.skipif(not HAS_PROC, reason="only Linux has /proc")
def test_path_is_resolved_without_a_call_per_folder(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "lstat", fail)
    assert real_path(str(base / "way/new")) == f"{Path.cwd()}/folder/new"
