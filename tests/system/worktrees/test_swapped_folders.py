"""Slots during a process that replaces them, their parent folders and their files by links."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.git_project import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
BECOME_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]
SWAPPER = """
import contextlib, os, random, sys, time
root, canary, stop = sys.argv[1:]
slot, parent = os.path.join(root, "w1"), os.path.dirname(root)
def swap(place):
    with contextlib.suppress(OSError):
        is_folder = os.path.isdir(place)
        aside = f"{canary}-aside-{swaps}"
        os.rename(place, aside)
        os.symlink(canary if is_folder else os.path.join(canary, "letter.txt"), place)
        time.sleep(0.001)
        os.unlink(place)
        os.rename(aside, place)
swaps, end = 0, time.monotonic() + 60
print("started", flush=True)
while swaps < 20_000 and time.monotonic() < end and not os.path.exists(stop):
    beside = []
    with contextlib.suppress(OSError):
        beside = [entry.path for entry in os.scandir(root)]
    places = (slot, os.path.join(slot, "pkg"), os.path.join(slot, ".git"), root, parent, *beside)
    for place in random.sample(places, 2):
        swaps += 1
        swap(place)
        if swaps == 6:
            open(f"{stop}-enough", "x").close()
        time.sleep(random.uniform(0, 0.2))
print(swaps, flush=True)
"""
DRIVER = """
import sys, time
from pathlib import Path
from pytest_gump.errors import GumpError
from pytest_gump.system.directory import Directory
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.pool import SlotPool
from pytest_gump.system.worktrees.slots import Slots
project, root, base, out, enough = sys.argv[1:]
slots, whole, lost = Slots(Repository.open(Path(project)), Path(root)), 0, 0
number, end = 0, time.monotonic() + 40
while (whole < 3 or lost < 3 or not Path(enough).exists()) and number < 500 and time.monotonic() < end:
    number += 1
    try:
        pool = SlotPool(slots)
        slot = slots.slot("w1")
        slot.prepare(base)
        slot.empty_handover()
        slot.directory.write("new.py", b"%d" % number)
        slot.directory.remove("app.py")
        slot.take_handover(Directory.open(Path(out)))
        snapshot = slot.snapshot(base, "attempt", "refs/gump/run/attempt")
        slot.remove_ignored(())
        slot.renew_git(base)
        slot.restore(snapshot.commit)
        if number % 3 == 0:
            slot.discard()
        if number % 4 == 0:
            pool.lease()
        whole += 1
    except (GumpError, OSError):
        lost += 1
    finally:
        pool.close()
print(whole, lost)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return make_project(tmp_path)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """The user's own files, under the names that slots and their root use. They must not change."""
    top = tmp_path / "canary"
    for name in ("letter.txt", "app.py", "pkg/mod.py", ".git/HEAD", ".gump/out/plan.json", "w1/app.py", "w1/.git/HEAD"):
        for place in (top / name, top / "r-12345678" / name):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"the user's {name}\n")
    (top / "letter.txt").chmod(0o640)
    before = everything(top)
    yield top
    assert everything(top) == before


def everything(top: Path) -> dict[str, str]:
    found = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(top))] = f"{status.st_mode:o} {hashlib.sha256(content).hexdigest()}"
    return found


def users() -> list[list[str]]:
    """Return prefixes that start a process as this user, and for root also as a user without rights."""
    return [[], BECOME_NOBODY] if os.geteuid() == 0 else [[]]


@pytest.mark.parametrize("user", users(), ids=lambda user: "another user" if user else "this user")
def test_other_files_are_not_changed_while_a_process_replaces_everything(
    project: Project, canary: Path, user: list[str], tmp_path: Path
) -> None:
    root, out, stop = tmp_path / "xdg/gump/worktrees/r-12345678", tmp_path / "out", tmp_path / "stop"
    base = project.git("rev-parse", "HEAD")
    for folder in (root, out, tmp_path / "tmp"):
        folder.mkdir(parents=True)
    if user:
        subprocess.run(["chown", "--recursive", str(NOBODY), str(tmp_path)], check=True)
        for parent in tmp_path.parents:
            if parent.is_relative_to(tempfile.gettempdir()):
                parent.chmod(parent.stat().st_mode | 0o011)
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(Path(__file__).parents[3])}
    words = [*user, sys.executable, "-c", SWAPPER, str(root), str(canary), str(stop)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == "started\n"
        arguments = [str(project.root), str(root), base, str(out), f"{stop}-enough"]
        done = subprocess.run(
            [*user, sys.executable, "-c", DRIVER, *arguments], env=env, capture_output=True, text=True, check=False
        )
        stop.touch()
        swaps = int(swapper.stdout.readline())
    assert done.returncode == 0, done.stderr
    whole, lost = map(int, done.stdout.split())
    assert whole + lost > 5
    assert swaps > 5
