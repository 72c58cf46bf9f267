"""Sessions and commands at the same time in one repository: none blocks or disturbs another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import Ledger, lock_out_writers, read_ledger
from pytest_gump.engine.record.liveness import run_state
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.pool import SlotPool
from pytest_gump.system.worktrees.slots import Slots

from tests.kits import parallel as parallel_kit
from tests.kits.commands import gump
from tests.kits.processes import PYTEST, ending, living, wait_until
from tests.kits.sizes import full_size

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.testing import GumpProject

SIDE: Final = """\
name: side
steps:
  - {name: split, agent: script, output: plan, prompt: "Split {spec}."}
  - name: build
    foreach: split
    parallel: true
    steps:
      - name: impl
        agent: script
        prompt: "Do {item.name} of {spec}."
        gate: [compile]
        on_failure: {retry: 2}
  - {name: quality, gate: [compile]}
"""
LINE: Final = """\
name: line
steps:
  - {name: first, agent: script, prompt: "Begin {spec}.", gate: [compile]}
  - {name: second, agent: script, prompt: "Finish {spec}.", gate: [compile], on_failure: {retry: 2}}
"""
AGENT: Final = """\
import re
number = re.search("number ([0-9]+)", prompt)[1]
usage(0.01)
while not pathlib.Path({flag!r}).exists():
    time.sleep(0.05)
if step == "split":
    plan({{"name": "a", "description": "A"}}, {{"name": "b", "description": "B"}})
else:
    is_broken = attempt == 1 and (step == "second" or item == "b")
    write(f"{{step.rpartition(':')[2]}}{{item}}_{{number}}.py", "x = (\\n" if is_broken else f"x = {{number}}\\n")
"""
COMMANDS: Final = '''\
"""Runs commands of gump one after another until a file exists, and prints every failure."""

import contextlib
import io
import pathlib
import sys
import time

from pytest_gump.cli.program import main

RIGHT = {"status": {0}, "report": {0}, "gc": {0}, "apply": {0, 1}}  # 1: there is nothing to apply
over, *commands = sys.argv[1:]
rounds = 0
while not pathlib.Path(over).exists():
    for words in commands:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = main(words.split())
        text = output.getvalue().replace('"unreadable": []', "")
        if code not in RIGHT[words.split()[0]] or "Traceback" in text or "unreadable" in text:
            sys.stdout.write(f"{words}: {code}: {output.getvalue()}\\n")
    rounds += 1
    time.sleep(0.5)
sys.stderr.write(f"{rounds} rounds\\n")
'''
SESSIONS: Final = full_size(
    small=(("side", 1, ("-n2",)), ("side", 2, ("-n0",)), ("line", 3, ("-n0",)), ("line", 4, ("-n0",))),
    full=(
        *[("side", number, ("-n2",)) for number in (1, 2)],
        *[("side", number, ("-n0",)) for number in (3, 4)],
        *[("line", number, ("-n0",)) for number in (5, 6, 7, 8)],
    ),
)
ITEMS: Final = {"side": ("impla", "implb"), "line": ("first", "second")}


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    """Return a project with two workflows, a spec for each run, and agents that wait for a file."""
    parallel_kit.prepare(gump_project, AGENT.format(flag=str(flag_of(gump_project))), workflow=SIDE)
    gump_project.workflow("line", LINE)
    gump_project.write({"app.py": "value = 1\n"})
    gump_project.write({f"specs/{number}.md": f"# The number {number}\n" for number in range(1, 9)})
    gump_project.commit("specs")
    return gump_project


def flag_of(project: GumpProject) -> Path:
    return project.path.parent / f"{project.path.name}-go"


def child(project: GumpProject, *command: str) -> AbstractContextManager[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    return ending(subprocess.Popen(command, cwd=project.path, stdout=pipe, stderr=pipe, text=True))


def started(project: GumpProject, *words: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start a session in a process of its own."""
    return child(project, *PYTEST, *words)


def session(project: GumpProject, *words: str) -> pytest.RunResult:
    return project.pytester.runpytest_inprocess(*words)


def records(project: GumpProject) -> list[RunRecord]:
    return [fold(read_ledger(folder.ledger)) for folder in project.folders() if folder.ledger.is_file()]


def agents(project: GumpProject) -> int:
    script = f"{project.path.name}-agent.py"
    return sum(any(script in word for word in one.info["cmdline"] or ()) for one in living(project))


def locked(project: GumpProject) -> set[str]:
    """Return names of files of the project and its cache that its processes have locked (Linux only, else empty)."""
    locks, pids = Path("/proc/locks"), {str(one.pid) for one in living(project)}
    lines = [line.split() for line in locks.read_text().splitlines()] if locks.is_file() else []
    held = {words[5].rpartition(":")[2] for words in lines if words[1] != "->" and words[4] in pids}
    found = set()
    for root, folders, files in os.walk(project.path.parent):
        for name in (*folders, *files):
            path = Path(root, name)
            if not path.is_symlink() and str(path.stat().st_ino) in held:
                found.add(path.name)
    return found


def check_locks_are_free(project: GumpProject, done: RunFolder) -> None:
    """Check that all locks of gump can be acquired, since a run holds them only for a moment."""
    runs = {folder.run_id for folder in project.folders()}
    mine = {name for name in locked(project) if name not in {"ledger.ndjson", *runs} and not name.endswith(".lease")}
    assert mine == set(), "a run locks only its own folder, ledger and worktrees"
    assert not [*(project.path / ".git").rglob("*.lock")]
    with lock_out_writers(done.ledger) as is_ours, done.owned():
        assert is_ours
    project.git("update-ref", "refs/gump/test/one", "HEAD")
    project.git("pack-refs", "--all")
    project.git("update-ref", "-d", "refs/gump/test/one")
    project.write({"by-hand.txt": "mine\n"})
    project.commit("by hand")
    repository = Repository.open(project.path)
    with closing(SlotPool(Slots(repository, Slots.default_root(repository, None)))) as pool:
        assert pool.lease()
    report = gump("gc", "--keep-last", "1", "--older-than", "0.001s", "--force", "--dry-run", "--json")
    assert report.returncode == 0, report.stderr
    assert gump("report", done.run_id).returncode == 0


def test_parallel_runs_and_commands_do_not_disturb_each_other(project: GumpProject) -> None:
    flag, over = flag_of(project), project.path.parent / f"{project.path.name}-over"
    flag.touch()
    project.write({"specs/0.md": "# The number 0\n", "commands.py": COMMANDS})
    project.commit("more")
    assert session(project, "--gump-workflow=line", "specs/0.md").ret == 0
    done = project.folders()[0]
    flag.unlink()
    with ExitStack() as stack:
        sessions = []
        for workflow, number, words in SESSIONS:
            start = (f"--gump-workflow={workflow}", *words, f"specs/{number}.md")
            sessions.append(stack.enter_context(started(project, *start)))
        wait_until(lambda: agents(project) >= len(SESSIONS), 120.0)
        check_locks_are_free(project, done)
        assert sorted(run_state(one) for one in records(project)) == ["passed", *["running"] * len(SESSIONS)]
        beside = [
            stack.enter_context(child(project, sys.executable, "commands.py", str(over), *commands))
            for commands in (
                ("status", "status --json", "report", "report --last 9"),
                ("gc", "gc --older-than 1s --keep-last 1", "gc --keep-last 3"),  # keep one run for `report`
                ("apply",),
            )
        ]
        flag.touch()
        for one in sessions:
            output, _ = one.communicate(timeout=240)
            assert one.returncode == 0, output
        over.touch()
        for one in beside:
            output, rounds = one.communicate(timeout=120)
            assert (output, "Traceback" in rounds) == ("", False), rounds
            assert int(rounds.split()[0]) >= 1
    for folder in reversed(project.folders()):
        gump("apply", folder.run_id)  # one of them has been applied
    check_result(project)


def check_result(project: GumpProject) -> None:
    """Check that every run has its usual result, that all runs are applied, and that nothing else is left."""
    tree = project.tree("main")
    for workflow, number, _ in (*SESSIONS, ("line", 0, ())):
        for item in ITEMS[workflow]:
            assert tree[f"{item}_{number}.py"] == f"x = {number}"
    assert project.git("status", "--porcelain") == ""
    assert all(one.applied for one in records(project))
    assert not living(project)
    collected = gump("gc", "--older-than", "0.001s")
    assert collected.returncode == 0, collected.stderr
    assert project.folders() == []
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump") == ""


def interrupted(project: GumpProject) -> RunFolder:
    """Kill a session while its first agent works, and return its run."""
    with started(project, "--gump-workflow=line", "specs/1.md") as killed:
        wait_until(lambda: agents(project), 60.0)
        killed.kill()
    wait_until(lambda: not living(project), 20.0)
    return project.folders()[0]


def test_only_one_of_two_sessions_can_resume_a_run(project: GumpProject) -> None:
    folder = interrupted(project)
    with ExitStack() as stack:
        both = [stack.enter_context(started(project, "--gump-resume")) for _ in range(2)]
        wait_until(lambda: any(one.poll() is not None for one in both), 60.0)
        (refused,) = [one for one in both if one.poll() is not None]
        (other,) = [one for one in both if one is not refused]
        _, output = refused.communicate()
        assert refused.returncode == pytest.ExitCode.USAGE_ERROR, output
        assert f"ERROR: another process works on run {folder.run_id}" in output or "is still running" in output
        wait_until(lambda: agents(project), 60.0)
        flag_of(project).touch()
        assert other.wait(60) == 0
    assert [one["event"] for one in project.ledger()].count("run_resumed") == 1
    record = project.record()
    assert (record.status, record.resumed) == ("passed", 1)
    assert "passed: there is nothing to resume" in session(project, "--gump-resume").stderr.str()


def test_a_resumed_run_that_is_running_cannot_be_changed(project: GumpProject) -> None:
    folder = interrupted(project)
    assert f"{folder.run_id} line interrupted first 1" in " ".join(gump("status").stdout.split())
    with started(project, "--gump-resume") as resumed:
        wait_until(lambda: project.record().resumed == 1 and agents(project), 60.0)
        before = project.ledger()
        for words in (["--gump-resume"], [f"--gump-resume={folder.run_id}"], ["--gump-from=first"]):
            done = session(project, *words)
            assert done.ret == pytest.ExitCode.USAGE_ERROR
            assert f"ERROR: run {folder.run_id} is still running (pid {resumed.pid})" in done.stderr.str()
        for command in (["apply", folder.run_id, "--force"], ["discard", folder.run_id]):
            refused = gump(*command)
            assert refused.returncode == 1, refused.stdout
            assert f"is still running (pid {resumed.pid})" in refused.stderr
        collected = gump("gc", "--keep-last", "1", "--older-than", "0.001s", "--force", "--json")
        assert '"removed": []' in collected.stdout
        status = " ".join(gump("status").stdout.split())
        assert f"{folder.run_id} line running first 1" in status
        assert f" {resumed.pid}" in status
        assert project.ledger() == before
        flag_of(project).touch()
        assert resumed.wait(60) == 0
    assert gump("apply").returncode == 0
    assert project.tree("main")["second_1.py"] == "x = 1"


def test_a_run_that_is_about_to_resume_counts_as_running(project: GumpProject) -> None:
    folder = interrupted(project)
    with folder.owned(), closing(Ledger(folder.ledger, time.time)):
        assert f"{folder.run_id} line running" in " ".join(gump("status").stdout.split())
        refused = gump("apply", folder.run_id, "--force")
        assert (refused.returncode, "is still running" in refused.stderr) == (1, True)
        assert gump("discard", folder.run_id).returncode == 1
        done = session(project, "--gump-resume")
        assert done.ret == pytest.ExitCode.USAGE_ERROR
        assert f"another process works on run {folder.run_id}" in done.stderr.str()
        collected = gump("gc", "--older-than", "0.001s", "--force", "--json")
        assert '"kind": "run"' not in collected.stdout.partition('"in_use"')[0]
    assert " interrupted " in gump("status").stdout
    flag_of(project).touch()
    assert session(project, "--gump-resume").ret == 0
