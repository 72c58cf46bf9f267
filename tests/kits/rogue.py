"""Whole sessions with an agent that misbehaves in a real child process. The files of the user are compared."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import textwrap
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.kits.processes import PYTEST
from tests.kits.script_agent import CONFTEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.order import AttemptResult
    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

PRELUDE = """
import json, os, pathlib, shutil, signal, subprocess, sys, time
step, attempt = sys.argv[1], int(sys.argv[3])
beside = pathlib.Path(__file__).parent
user = beside / {project!r}
pids = beside / ({project!r} + "-pids")
def write(path, content=""):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
def say(type, **fields):
    print(json.dumps({{"type": type, **fields}}), flush=True)
def done(message="Done."):
    say("result", outcome="ok", message=message)
def git(*words):
    who = ["-c", "user.name=agent", "-c", "user.email=agent@localhost"]
    subprocess.run(["git", *who, *words], check=True, stdout=subprocess.DEVNULL)
def note_pid(pid):
    with pids.open("a") as file:
        file.write(f"{{pid}}\\n")
"""
TALK = """
sys.stdin.read()
say("started", session_id=f"s{attempt}", model="test-model")
say("turn")
"""

STEP = """\
name: rogue
steps:
  - name: impl
    agent: script
    prompt: Do it.
"""


@dataclass(frozen=True)
class Ran:
    """A finished session."""

    lines: list[str]
    code: int
    seconds: float
    results: list[AttemptResult]
    peak_mb: float = 0.0
    """Peak memory in MB, measured only for a session in its own process."""

    @property
    def result(self) -> AttemptResult:
        return self.results[-1]

    def has_one_line(self, text: str) -> bool:
        """True if exactly one line of the terminal contains the text."""
        return self.times(text) == 1

    def times(self, text: str) -> int:
        """Count the lines of the run that contain the text, without the summary of pytest, which repeats failures."""
        summary = next((n for n, line in enumerate(self.lines) if " FAILURES " in line or "run " in line[:4]), None)
        return sum(text in line for line in self.lines[:summary])


class Rogue:
    """A project whose agent is a script. After each run the files of the user and the process table are checked."""

    limit_s = 60.0

    def __init__(self, project: GumpProject, saved: Saved) -> None:
        self.project = project
        self.script = project.path.parent / f"{project.path.name}-agent.py"
        saved.give("rogue", project, self._prepare)

    def _prepare(self, project: GumpProject) -> None:
        beside = "__file__.removesuffix('/conftest.py') + '-agent.py'"  # the path must also fit a copy of the project
        project.write(
            {
                "app.py": "value = 1\n",
                "conftest.py": CONFTEST.format(script="SCRIPT").replace("'SCRIPT'", beside),
                ".gitignore": "__pycache__/\n.pytest_cache/\n*.log\n",
            }
        )
        project.commit("app")
        project.write({"docs/notes.md": "the user's notes\n"})
        project.commit("notes")
        project.git("branch", "other")
        project.write({"app.py": "value = 0  # for later\n"})
        project.git("stash", "push", "--quiet", "--message", "for later")
        self.workflow()

    # -- workflow and agent ----------------------------------------------------------------------------------------

    def workflow(self, more: str = "    gate: [compile]\n") -> None:
        """Write the workflow `rogue`: one step with these additional lines. A diff step may leave the tree unchanged."""
        own, _, _ = more.partition("- name:")
        allowed = "" if "output:" in own else "    allow_no_change: true\n"
        self.project.workflow("rogue", STEP + allowed + more)

    def steps(self, names: Iterable[str], gate: str) -> None:
        """Write the workflow `rogue` with a step for each name, all with this gate. They may leave the tree unchanged."""
        text = "".join(
            f"  - {{name: {name}, agent: script, prompt: Do it., allow_no_change: true, gate: {gate}}}\n"
            for name in names
        )
        self.project.workflow("rogue", f"name: rogue\nsteps:\n{text}")

    def agent(self, source: str, *, talks: bool = True, ends: bool = True) -> None:
        """Set the script of the agent. It also reports its start and its result, unless `talks` or `ends` is false."""
        prelude = PRELUDE.format(project=self.project.path.name) + (TALK if talks else "")
        text = prelude + textwrap.dedent(source) + ("\ndone()\n" if ends else "")
        self.script.write_text(text, encoding="utf-8")

    # -- runs ------------------------------------------------------------------------------------------------------

    def run(self, *options: str, touches: tuple[str, ...] = ()) -> Ran:
        """Run in this process. Fail if files of the user other than `touches` change."""
        with self._all_is_left_alone(touches), self._bounded():
            began = time.monotonic()
            ran = self.project.pytester.runpytest_inprocess("--gump-workflow=rogue", *options, "spec.md")
        return Ran(ran.outlines, int(ran.ret), time.monotonic() - began, self._results())

    def run_apart(self, *options: str, prefix: tuple[str, ...] = ()) -> Ran:
        """Run in a separate process and measure its memory."""
        command = [*prefix, *PYTEST, "-p", "no:cacheprovider", "--gump-workflow=rogue"]
        with self._all_is_left_alone():
            began = time.monotonic()
            process = psutil.Popen(
                [*command, *options, "spec.md"],
                cwd=self.project.path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            peak = 0
            while process.poll() is None and time.monotonic() - began < self.limit_s:
                try:
                    peak = max(peak, process.memory_info().rss)
                except psutil.Error:
                    break
                time.sleep(0.02)
            output, _ = process.communicate(timeout=20)
        seconds = time.monotonic() - began
        return Ran(output.splitlines(), process.returncode, seconds, self._results(), peak / 1e6)

    def _results(self) -> list[AttemptResult]:
        return [one.result for one in self.project.record().attempts if one.result is not None]

    def tree(self, result: AttemptResult) -> list[bytes]:
        """Return the file names in the snapshot commit of an attempt."""
        assert result.snapshot is not None
        listed = subprocess.run(
            ["git", "ls-tree", "-r", "-z", "--name-only", result.snapshot],
            cwd=self.project.path,
            capture_output=True,
            check=True,
        )
        return [name for name in listed.stdout.split(b"\0") if name]

    def artifact(self, name: str) -> Path:
        """Return a file of the last attempt, in the folder of the run."""
        attempt = self.project.record().attempts[-1]
        assert attempt.folder is not None
        return self.project.folders()[0].attempts / attempt.folder / name

    # -- checks ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _all_is_left_alone(self, touches: tuple[str, ...] = ()) -> Iterator[None]:
        before = self._users()
        children = _children()
        yield
        after = self._users()
        assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == {*touches}
        assert self._running() == []
        assert _children() - children == set()
        assert self.project.git("fsck", "--connectivity-only", "--no-dangling") == ""

    def _users(self) -> dict[str, str]:
        """Return digests of the files of the user: the checkout and `.git` without objects and what gump may add."""
        gump = (".gump/runs", ".git/refs/gump", ".git/refs/heads/gump", ".git/logs/refs/heads/gump")
        ours = {*gump, ".git/objects", ".pytest_cache", "__pycache__"}
        found = {}
        for folder, folders, names in os.walk(self.project.path):
            place = Path(folder).relative_to(self.project.path)
            folders[:] = [name for name in folders if str(place / name) not in ours and name not in ours]
            for name in [*names, *(one for one in folders if Path(folder, one).is_symlink())]:
                found[str(place / name)] = _digest(Path(folder, name))
        return found

    def _running(self) -> list[str]:
        """Return processes that agents and gates left running, found by environment, argument, folder or noted pid."""
        place = str(self.project.path)  # paths of the files beside it start with this path
        pids = self.script.with_name(f"{self.project.path.name}-pids")
        noted = {int(pid) for pid in pids.read_text().split()} if pids.exists() else set()
        return [
            f"{process.pid}: {process.info['cmdline']}"
            for process in psutil.process_iter(["cmdline", "cwd", "environ", "status"])
            if process.pid != os.getpid()
            and process.info["status"] != psutil.STATUS_ZOMBIE
            and (process.pid in noted or _is_about(process.info, place))
        ]

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Fail a session that exceeds the time limit."""

        def ring(_number: int, _frame: object) -> None:
            pytest.fail(f"the session hung for {self.limit_s} s")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, self.limit_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def _is_about(process: dict[str, object], place: str) -> bool:
    words = [*(process["cmdline"] or ()), process["cwd"] or ""]  # type: ignore[misc]  # psutil gives a list or None
    environ = process["environ"] or {}
    return any(place in str(word) for word in words) or (isinstance(environ, dict) and place in environ.get("HOME", ""))


def _digest(path: Path) -> str:
    status = path.lstat()
    content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    return f"{status.st_mode:o} {hashlib.sha256(content).hexdigest()}"
