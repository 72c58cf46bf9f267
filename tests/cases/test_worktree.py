"""Agents that change their worktree, its parent folder, or files of gump next to it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kits.rogue import Rogue

GOES_ON = """
if attempt == 1:
{act}
    done()
    sys.exit()
write("app.py", "value = 2\\n")
"""
POLICY = """\
    gate: [compile]
    on_failure:
      gate_fail: {retry: 2}
      guard_fail: {retry: 2}
"""
REPLACED = {
    "removed": "shutil.rmtree(here)",
    "a file": "shutil.rmtree(here); here.write_text('x')",
    "a link to the checkout": "here.rename(moved); here.symlink_to(user)",
    "a link to another folder": "here.rename(moved); here.symlink_to(beside)",
    "another folder": "here.rename(moved); here.mkdir(); (here / 'letter.txt').write_text('mine')",
    "its parent removed": "shutil.rmtree(here.parent)",
    "its parent a link": "here.parent.rename(moved); here.parent.symlink_to(user)",
    "its parents a link": "here.parent.parent.rename(moved); here.parent.parent.symlink_to(user)",
}


def agent(rogue: Rogue, act: str) -> None:
    lines = ["here = pathlib.Path.cwd()", "moved = beside / (user.name + '-moved')", "os.chdir('/')", *act.split("; ")]
    rogue.agent(GOES_ON.format(act="\n".join(f"    {line}" for line in lines)), ends=True)


@pytest.mark.parametrize("how", REPLACED)
def test_replaced_worktree_is_out_of_bounds_and_the_run_continues(rogue: Rogue, how: str) -> None:
    rogue.workflow(POLICY)
    agent(rogue, REPLACED[how])
    ran = rogue.run()
    assert [result.outcome for result in ran.results] == [Outcome.OUT_OF_BOUNDS, Outcome.PASSED], ran.lines
    assert "was removed or replaced" in ran.results[0].reason
    assert rogue.project.tree(rogue.project.record().head)["app.py"] == "value = 2"
    assert ran.code == 0


def test_folder_that_replaces_a_worktree_is_kept(rogue: Rogue) -> None:
    rogue.workflow(POLICY)
    agent(rogue, REPLACED["another folder"])
    assert rogue.run().code == 0
    letters = [*rogue.project.path.parent.glob(f"{rogue.project.path.name}-cache/**/letter.txt")]
    assert [letter.read_text() for letter in letters] == ["mine"]


BESIDE = """
canary = beside / (user.name + "-letter.txt")
for place in [*here.parent.iterdir(), *here.parent.glob("*.scratch/*/*/*")]:
    if place != here and not place.is_dir():
        place.unlink()
        {link}
for folder in here.parent.glob("*.scratch/*/*"):
    for name in ("diff.patch", "result.json", "prompt.md", "step.patch"):
        if not os.path.lexists(folder / name):
            (folder / name).symlink_to(canary)
    for name in ("gates", "out"):
        if not os.path.lexists(folder / name):
            (folder / name).symlink_to(beside / (user.name + "-kept"))
write("app.py", "value = 2\\n")
"""


@pytest.mark.parametrize("link", ["place.symlink_to(canary)", "place.hardlink_to(canary)"], ids=["link", "hard link"])
def test_links_that_replace_files_of_gump_are_not_followed(rogue: Rogue, link: str) -> None:
    beside, name = rogue.project.path.parent, rogue.project.path.name
    canary, kept = beside / f"{name}-letter.txt", beside / f"{name}-kept"
    canary.write_text("the user's letter\n")
    kept.mkdir()
    rogue.agent("here = pathlib.Path.cwd()\n" + BESIDE.format(link=link))
    ran = rogue.run()
    again = rogue.run()
    assert (ran.code, again.code) == (0, 0), ran.lines
    assert canary.read_text() == "the user's letter\n"
    assert list(kept.iterdir()) == []


@pytest.mark.parametrize("place", ["here", "here / 'deep'", "here / '.gump'", "here.parent"])
def test_folders_without_permissions_do_not_break_a_run(rogue: Rogue, place: str) -> None:
    rogue.workflow(POLICY)
    act = f"(here / 'deep').mkdir(); (here / 'deep' / 'x').write_text('1'); ({place}).chmod(0)"
    agent(rogue, act)
    ran = rogue.run()
    assert ran.code in {0, 1}, ran.lines
    assert ran.results[-1].outcome in {Outcome.PASSED, Outcome.OUT_OF_BOUNDS}


def test_files_of_gump_are_private_to_the_user(rogue: Rogue) -> None:
    before = os.umask(0)
    try:
        rogue.agent("write('app.py', 'value = 2\\n'); os.chdir('/'); write(beside / 'cwd', '')")
        assert rogue.run().code == 0
    finally:
        os.umask(before)
    cache = next((rogue.project.path.parent / f"{rogue.project.path.name}-cache").glob("**/worktrees"))
    folders = [cache.parent, cache, *cache.iterdir(), *(one for root in cache.iterdir() for one in root.iterdir())]
    runs = rogue.project.path / ".gump" / "runs"
    for path in (*folders, runs, *runs.rglob("*")):
        assert not mode(path) & 0o077, path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_of_the_cli_itself_are_set_aside(rogue: Rogue) -> None:
    rogue.agent(
        """
        write("app.py", "value = 2\\n")
        write(".claude/settings.local.json", "{}")
        git("worktree", "add", "-q", "-b", "sub", ".claude/worktrees/agent-a1")
        """
    )
    ran = rogue.run()
    assert ran.result.outcome is Outcome.PASSED, ran.lines
    assert [name for name in rogue.tree(ran.result) if name.startswith(b".claude")] == []
    assert any(
        note.startswith("set aside files that the agent's CLI wrote for its own use: ") for note in ran.result.notes
    )
    assert rogue.artifact("set-aside/settings.local.json").read_text() == "{}"


def test_plain_pytest_ignores_worktrees_inside_the_checkout(rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> None:
    project = rogue.project
    project.write({".gitignore": ".cache/\n__pycache__/\n", "pytest.ini": "[pytest]\nnorecursedirs = build\n"})
    project.write({"test_app.py": "def test_app():\n    pass\n"})
    project.commit("a cache inside")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.path / ".cache"))
    rogue.agent("write('new.py', 'x = 1\\n')")
    result = project.pytester.runpytest_subprocess("--gump-workflow=rogue", "spec.md")
    result.stdout.fnmatch_lines(["note: worktrees are inside the checkout: .cache/gump/worktrees/*", "*1 passed*"])
    project.pytester.runpytest_subprocess().assert_outcomes(passed=1)
