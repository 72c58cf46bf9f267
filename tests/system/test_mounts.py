"""Mounts in a worktree are found, and their content is not removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pytest_gump.system.directory import Directory
from pytest_gump.system.mounts import is_same_mount, mounts_in

BIND = """
import subprocess, sys
from pathlib import Path
from pytest_gump.system.directory import Directory
from pytest_gump.system.mounts import mounts_in
top, mine = map(Path, sys.argv[1:])
points = [top / "direct", top / "with a space" / "deep"]
for point in points:
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", mine, point], check=True)
assert mounts_in(top) == [str(point) for point in points], mounts_in(top)
for name in ("direct", "with a space"):
    try:
        Directory.open(top).remove(name)
    except OSError as error:
        print(error.strerror)
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def is_possible() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_content_of_a_mount_is_not_removed(tmp_path: Path) -> None:
    mine, top = tmp_path / "mine", tmp_path / "t o\\p"  # the system writes the space and the backslash in octal
    mine.mkdir()
    top.mkdir()
    (mine / "thesis.txt").write_text("mine")
    mine.chmod(0o750)
    if is_possible():
        words = [*NAMESPACE, sys.executable, "-c", BIND, str(top), str(mine)]
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": str(Path(__file__).parents[2])}
        ran = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
        assert (ran.returncode, len(ran.stdout.splitlines())) == (0, 2), ran.stderr
    assert (mine / "thesis.txt").read_text() == "mine"
    assert mine.stat().st_mode & 0o777 == 0o750


def test_mounts_of_the_system_are_found() -> None:
    assert not sys.platform.startswith("linux") or mounts_in(Path("/proc"))[0] == "/proc"


def test_folder_without_mounts_has_none(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    outer = Directory.open(tmp_path)
    assert mounts_in(tmp_path) == []
    assert is_same_mount(outer.descriptor, outer.folder("inner").descriptor)
