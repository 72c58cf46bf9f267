"""Private folders for indexes in the directory for temporary files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pytest_gump.system.worktrees.root import PRIVATE, SlotRoot

HOLD = """
import sys, time
from pathlib import Path
from pytest_gump.system.worktrees.root import SlotRoot
root = SlotRoot(Path(sys.argv[1]))
root.private.write("w1", b"DIRC")
print(root.private.path, flush=True)
time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_folder_of_a_killed_process_is_removed_and_that_of_a_running_one_is_kept(place: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "slots")]
    environment = {**os.environ, "TMPDIR": str(place)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().rstrip("\n"))
        ours = SlotRoot(tmp_path / "slots")
        assert ours.private.path.parent == left.parent == place
        assert (left / "w1").exists()
        other.send_signal(signal.SIGKILL)
        other.wait()
        _ = SlotRoot(tmp_path / "others").private
        assert not left.exists()
        assert ours.private.is_there


def test_only_our_own_folders_are_removed(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(0o700)
    (kept / "file").touch()
    (place / f"{PRIVATE}link").symlink_to(kept)
    (place / f"{PRIVATE}file").touch()
    (place / f"{PRIVATE}open").mkdir(0o755)
    (place / f"{PRIVATE}ours").mkdir(0o700)
    assert SlotRoot(tmp_path / "slots").private.is_there
    left = {path.name for path in place.iterdir()}
    assert {f"{PRIVATE}link", f"{PRIVATE}file", f"{PRIVATE}open"} <= left
    assert f"{PRIVATE}ours" not in left
    assert (kept / "file").exists()


def test_folder_of_another_user_is_kept(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = place / f"{PRIVATE}theirs"
    theirs.mkdir(0o700)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert SlotRoot(tmp_path / "slots").private.is_there
    assert theirs.exists()


def test_folder_removed_before_it_is_locked_is_created_again(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def make_and_lose_the_first(*, prefix: str) -> str:
        made.append(make(prefix=prefix))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose_the_first)
    root = SlotRoot(tmp_path / "slots")
    assert root.private.path == Path(made[1])
    assert [path.name for path in place.iterdir()] == [Path(made[1]).name]


def test_missing_directory_for_temporary_files_is_an_error(place: Path, tmp_path: Path) -> None:
    place.rmdir()
    with pytest.raises(FileNotFoundError):
        _ = SlotRoot(tmp_path / "slots").private
