"""Preparation of a worktree: untracked files are copied into it, and setup commands run."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.attempt.gate_phase import CommandRunner
from pytest_gump.engine.attempt.setup_phase import beside
from pytest_gump.engine.attempt.workplace import make_workplace
from pytest_gump.errors import WorktreeError
from pytest_gump.order import Outcome

from tests.engine.attempt_kit import Kit, bash

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.processes.process import Supervisor

IGNORES = "*.log\nbuild/\n.env\nnode_modules/\n"


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    kit = Kit(tmp_path, supervisor)
    kit.base = kit.commit({".gitignore": IGNORES, "package-lock.json": "1\n"})
    write(kit, ".env", "PORT=1\n")
    write(kit, "node_modules/dep/index.js", "dep\n")
    write(kit, "other.log", "not wanted\n")
    (kit.root / "node_modules/.bin").mkdir()
    (kit.root / "node_modules/.bin/dep").symlink_to("../dep/index.js")
    return kit


def write(kit: Kit, name: str, text: str) -> Path:
    path = kit.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def include(kit: Kit, *patterns: str) -> None:
    """Commit a `.worktreeinclude` that names files."""
    kit.base = kit.commit({".worktreeinclude": "# a build needs these\n" + "".join(f"{one}\n" for one in patterns)})


def slot_of(kit: Kit) -> Path:
    return kit.place / "slots/one"


def test_ignored_files_named_in_worktreeinclude_are_copied_before_setup(kit: Kit) -> None:
    include(kit, ".env", "node_modules")
    setup = ("grep -q PORT=1 .env && cat node_modules/.bin/dep > build.log",)
    result = kit.run("", setup=setup, gates=bash("grep -q dep build.log && test ! -e other.log"))
    assert result.passed, result.reason
    assert result.changed == ()
    assert result.notes == ()
    assert sorted(kit.files(result.snapshot)) == sorted(kit.files(kit.base))


def test_gump_copy_names_further_files_and_patterns_can_exclude_files(kit: Kit) -> None:
    include(kit, "!secret.log")
    write(kit, "deep/secret.log", "")
    kit.settings = replace(kit.settings, copy=("*.log",))
    result = kit.run("", gates=bash("test -f other.log && test ! -e deep/secret.log && test ! -e .env"))
    assert result.passed, result.reason


def test_files_are_copied_once_and_kept_between_attempts(kit: Kit) -> None:
    include(kit, ".env")
    kit.run("")
    write(kit, ".env", "PORT=2\n")
    again = kit.run("", attempt=2, gates=bash("grep -q PORT=1 .env"))
    assert again.passed, again.reason


def test_writes_to_copies_do_not_reach_the_users_files(kit: Kit) -> None:
    include(kit, ".env", "node_modules")
    outside = kit.place / "outside.txt"
    outside.write_text("mine\n")
    (kit.root / "node_modules/out").symlink_to(outside)
    (kit.root / "node_modules/up").symlink_to("../../outside.txt")
    script = """
        for name in [".env", "node_modules/dep/index.js", "node_modules/.bin/dep", "node_modules/out", "node_modules/up"]:
            write(name, "taken")
    """
    result = kit.run(script)
    assert outside.read_text() == "mine\n"
    assert (kit.root / ".env").read_text() == "PORT=1\n"
    assert (kit.root / "node_modules/dep/index.js").read_text() == "dep\n"
    assert (slot_of(kit) / ".env").stat().st_nlink == 1
    assert "not copied (a link that leads out of the checkout): node_modules/out, node_modules/up" in result.notes


def test_copies_keep_modes_and_times_and_special_files_are_left_out(kit: Kit) -> None:
    include(kit, "node_modules")
    tool = write(kit, "node_modules/tool", "#!/bin/sh\n")
    tool.chmod(0o4555)
    os.utime(tool, (1_000_000_000, 1_000_000_000))
    os.mkfifo(kit.root / "node_modules/pipe")
    write(kit, "node_modules/odd \n\x1b name", "x")
    result = kit.run("")
    status = (slot_of(kit) / "node_modules/tool").stat()
    assert (stat.S_IMODE(status.st_mode), int(status.st_mtime)) == (0o555, 1_000_000_000)
    assert (slot_of(kit) / "node_modules/odd \n\x1b name").read_text() == "x"
    assert not os.path.lexists(slot_of(kit) / "node_modules/pipe")
    assert result.passed, result.reason


def test_only_ignored_files_are_copied(kit: Kit) -> None:
    include(kit, "notes.txt", "app.py")
    write(kit, "notes.txt", "draft\n")
    write(kit, "app.py", "changed = 1\n")
    result = kit.run("")
    assert result.changed == ()
    assert not (slot_of(kit) / "notes.txt").exists()
    assert (slot_of(kit) / "app.py").read_text() == "x = 1\n"
    why = "git does not ignore it, so it would become part of the result"
    assert f"not copied ({why}): notes.txt" in result.notes


def test_tracked_file_of_the_base_is_not_replaced(kit: Kit) -> None:
    include(kit, ".env")
    kit.git("add", "-f", ".env")
    kit.git("commit", "-q", "-m", "once tracked")
    tracked = kit.git("rev-parse", "HEAD")
    kit.git("rm", "-q", "--cached", ".env")
    kit.git("commit", "-q", "-m", "no more")
    write(kit, ".env", "PORT=9\n")
    result = kit.run("", base=tracked, gates=bash("grep -q PORT=1 .env"))
    assert result.passed, result.reason
    assert "not copied (git tracks it in the run): .env" in result.notes


def test_copy_is_in_no_snapshot_even_if_the_agent_stops_ignoring_it(kit: Kit) -> None:
    include(kit, ".env", "node_modules")
    first = kit.run('write(".gitignore", "")')
    assert [one.path for one in first.changed] == [".gitignore"]
    assert ".env" not in kit.files(first.snapshot)
    second = kit.run("", attempt=2, base=first.snapshot, step_base=kit.base)
    assert [one.path for one in second.changed] == [".gitignore"]
    assert ".env" not in kit.files(second.snapshot)


def test_agent_may_remove_copies_or_replace_them_by_links(kit: Kit) -> None:
    kit.base = kit.commit({"config/readme": "here\n"})
    include(kit, ".env", "config/*.log", "node_modules")
    write(kit, "config/local.log", "x")
    script = """
        import shutil
        os.unlink(".env")
        shutil.rmtree("config")
        shutil.rmtree("node_modules")
        os.symlink("docs", "config")
        os.symlink("docs", "node_modules")
        write("docs/local.log", "taken")
        write("docs/readme", "moved")
    """
    result = kit.run(script)
    assert result.passed, result.reason
    names = set(kit.files(result.snapshot))
    assert {"config", "docs/readme"} <= names
    assert not {".env", "docs/local.log", "node_modules/dep/index.js"} & names
    assert (kit.root / "config/local.log").read_text() == "x"


def test_files_are_not_copied_through_a_linked_folder(kit: Kit) -> None:
    elsewhere = kit.place / "elsewhere"
    elsewhere.mkdir()
    (kit.root / "config").symlink_to(elsewhere)
    include(kit, "*.log")
    (kit.root / "config").unlink()
    write(kit, "config/local.log", "x")
    result = kit.run("")
    assert [*elsewhere.iterdir()] == []
    assert "not copied (its folder is a link in the run): config/local.log" in result.notes


def test_files_of_git_and_gump_are_not_copied(kit: Kit) -> None:
    include(kit, "*")
    write(kit, ".gump/runs/x/ledger.ndjson", "{}\n")
    nested = kit.root / "node_modules/nested"
    nested.mkdir()
    kit.git("init", "-q", str(nested))
    write(kit, "node_modules/nested/a.js", "a")
    result = kit.run("")
    assert not (slot_of(kit) / ".gump/runs").exists()
    assert not (slot_of(kit) / "node_modules/nested").exists()
    assert "not copied (a repository of its own): node_modules/nested/" in result.notes


def test_linked_worktreeinclude_is_refused(kit: Kit) -> None:
    (kit.root / ".worktreeinclude").symlink_to("/etc/passwd")
    with pytest.raises(WorktreeError, match="links are not followed"):
        kit.run("")


def test_setup_runs_again_after_a_lock_file_changed(kit: Kit) -> None:
    setup = ("echo x >> build.log",)
    kit.run("", setup=setup)
    same = kit.commit({"app.py": "x = 2\n"})
    kit.run("", setup=setup, base=same)
    assert (slot_of(kit) / "build.log").read_text() == "x\n"
    changed = kit.commit({"web/package-lock.json": "2\n"})
    result = kit.run("", setup=setup, base=changed)
    assert result.notes == ("setup ran again because lock files were changed: web/package-lock.json",)
    kit.run("", setup=setup, base=changed)
    assert (slot_of(kit) / "build.log").read_text() == "x\nx\n"


def test_setup_that_fails_on_a_lock_file_changed_by_the_agent_is_a_note(kit: Kit) -> None:
    setup = ("grep -q 1 package-lock.json",)
    first = kit.run('write("package-lock.json", "broken")', setup=setup)
    second = kit.run(
        'write("package-lock.json", "11")', setup=setup, attempt=2, base=first.snapshot, step_base=kit.base
    )
    assert second.passed, second.reason
    assert "setup failed: grep -q 1 package-lock.json: exit code 1" in second.notes[0]
    third = kit.run("", setup=setup, base=first.snapshot)
    assert third.outcome is Outcome.GATE_ERROR


def test_preflight_sees_the_copies(kit: Kit) -> None:
    include(kit, ".env")
    result = kit.run(mode="gate", agent=None, setup_only=True, gates=bash("grep -q PORT=1 .env"))
    assert result.passed, result.reason


def test_next_run_in_a_worktree_gets_new_copies(kit: Kit) -> None:
    include(kit, ".env")
    kit.run("")
    write(kit, ".env", "PORT=2\n")
    kit.tools().slots.slot("one").forget()  # as a lease does
    result = kit.run("", gates=bash("grep -q PORT=2 .env"))
    assert result.passed, result.reason


def test_commands_in_the_side_slot_see_other_files_than_the_attempt(kit: Kit) -> None:
    before, tools = kit.base, kit.tools()
    order = kit.order(base=kit.commit({"app.py": "x = 2\n"}), side="two", setup=("echo ready > build.log",))
    slot = tools.slots.slot(order.slot)
    slot.prepare(order.base)
    own = make_workplace(order, tools, slot)
    side = beside(order, tools, own, before)
    run = CommandRunner(tools, side, {}, 60.0)
    assert run("cat app.py build.log", label="show").output.split() == ["x", "=", "1", "ready"]
    assert (own.worktree / "app.py").read_text() == "x = 2\n"
    assert beside(order, tools, own, order.base).worktree == side.worktree
    assert (side.worktree / "app.py").read_text() == "x = 2\n"


def test_an_order_without_a_side_slot_has_no_second_worktree(kit: Kit) -> None:
    tools, order = kit.tools(), kit.order()
    slot = tools.slots.slot(order.slot)
    slot.prepare(order.base)
    with pytest.raises(WorktreeError, match="has no side slot"):
        beside(order, tools, make_workplace(order, tools, slot), kit.base)


def test_a_side_slot_that_cannot_be_set_up_is_an_error(kit: Kit) -> None:
    tools, order = kit.tools(), kit.order(side="two", setup=("exit 3",))
    slot = tools.slots.slot(order.slot)
    slot.prepare(order.base)
    with pytest.raises(WorktreeError, match="setup failed: exit 3"):
        beside(order, tools, make_workplace(order, tools, slot), kit.base)
