"""Workers that share no disk with the controller: the checkout is hidden from them, HOME and folder are their own."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.session.parallel_kit import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.testing import GumpProject

pytestmark = pytest.mark.remote

SCRIPT = """
if step == "decompose":
    plan(*({"name": f"n{number}", "description": "d"} for number in range(4)))
if item:
    write(f"{item}.txt", os.environ["HOME"] + " " + os.getcwd())
    usage(0.01)
"""


@dataclass(frozen=True)
class Elsewhere:
    """A machine of its own, as far as files go: the project is hidden there by an empty folder."""

    folder: Path
    python: Path

    @classmethod
    def make(cls, folder: Path, project: GumpProject) -> Elsewhere:
        for name in ("empty", "home", "place"):
            (folder / name).mkdir(parents=True)
        python = folder / "python"
        python.write_text(
            f"#!/bin/sh\nexport HOME='{folder}/home' XDG_CACHE_HOME='{folder}/home/cache'\n"
            'exec unshare --mount sh -c \'mount --bind "$1" "$2" && shift 2 && exec "$@"\' - '
            f"'{folder}/empty' '{project.path}' '{sys.executable}' \"$@\"\n"
        )
        python.chmod(0o755)
        shutil.copy(project.path / "conftest.py", folder / "place" / "conftest.py")
        return cls(folder, python)

    def workers(self, how: str, count: int = 2) -> list[str]:
        spec = f"{how}//python={self.python}//chdir={self.folder}/place"
        return ["--dist=load", *(word for _ in range(count) for word in ("--tx", spec))]


@pytest.fixture
def elsewhere(project: GumpProject, tmp_path: Path) -> Elsewhere:
    prepare(project, SCRIPT)
    return Elsewhere.make(tmp_path / "away", project)


@pytest.fixture
def ssh_config(tmp_path: Path) -> Iterator[Path]:
    """A real sshd on loopback that lets this user in, and what ssh has to know of it."""
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized_keys").write_bytes((folder / "user.pub").read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n"
    )
    (folder / "config").write_text(
        f"Host other\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {folder}/user\n"
        f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"]) as server:
        try:
            yield folder / "config"
        finally:
            server.terminate()


def run(project: GumpProject, *options: str) -> pytest.RunResult:
    return project.pytester.runpytest_subprocess("--gump-workflow=side", *options, "spec.md")


def check(project: GumpProject, elsewhere: Elsewhere) -> None:
    """Everything that the attempts did elsewhere has come home."""
    record = project.record()
    tree = project.tree(record.head)
    assert {f"n{number}.txt" for number in range(4)} <= set(tree)
    assert all(str(elsewhere.folder / "home") in tree[f"n{number}.txt"] for number in range(4))
    run = project.folders()[0]
    folders = [one.folder for one in record.attempts if one.folder and "impl" in one.folder]
    assert len(folders) == 4
    assert all((run.attempts / folder / "stream.ndjson").is_file() for folder in folders)
    refs = project.git("for-each-ref", "--format=%(refname)", f"refs/gump/{record.run_id}").splitlines()
    assert len([ref for ref in refs if "impl" in ref]) == 4
    assert record.total.cost_usd == pytest.approx(0.04)


def test_workers_that_cannot_see_the_checkout_do_the_same_work(project: GumpProject, elsewhere: Elsewhere) -> None:
    run(project, *elsewhere.workers("popen")).assert_outcomes(passed=10)
    check(project, elsewhere)
    second = run(project, *elsewhere.workers("popen", 1))
    second.assert_outcomes(passed=10)
    places = sorted(
        path.name for path in elsewhere.folder.glob("home/cache/gump/remote/*/worktrees/w*") if path.is_dir()
    )
    assert places == ["w1", "w2"]


def test_workers_behind_ssh_do_the_same_work(project: GumpProject, elsewhere: Elsewhere, ssh_config: Path) -> None:
    run(project, *elsewhere.workers(f"ssh=other//ssh_config={ssh_config}")).assert_outcomes(passed=10)
    check(project, elsewhere)


def test_conversation_is_resumed_on_the_host_that_holds_it(project: GumpProject, elsewhere: Elsewhere) -> None:
    workflow = """\
name: side
steps:
  - name: impl
    agent: script
    session: reuse-on-retry
    prompt: Do it.
    gate: ["bash: test -f done.txt"]
    on_failure: {retry: 2, strategy: [same]}
"""
    script = 'write("done.txt" if attempt > 1 else "begun.txt", os.getcwd())\n'
    prepare(project, script, workflow=workflow)
    run(project, *elsewhere.workers("popen")).assert_outcomes(passed=1)
    record = project.record()
    assert [one.session_resumed for one in record.attempts] == [False, True]
    assert [one.result.notes for one in record.attempts if one.result] == [(), ()]
    tree = project.tree(record.head)
    assert tree["begun.txt"] == tree["done.txt"]


def test_interrupted_run_stops_workers_elsewhere(project: GumpProject, elsewhere: Elsewhere) -> None:
    prepare(project, SCRIPT + "if item: time.sleep(600)\n")
    words = [sys.executable, "-m", "pytest", "--gump-workflow=side", *elsewhere.workers("popen"), "spec.md"]
    with subprocess.Popen(words, cwd=project.path, stdout=subprocess.PIPE, text=True) as session:
        wait_until(lambda: len(agents_of(project)) == 2)
        began = time.monotonic()
        session.send_signal(signal.SIGINT)
        session.communicate(timeout=20)
        assert time.monotonic() - began < 10
    assert session.returncode == pytest.ExitCode.INTERRUPTED
    wait_until(lambda: not agents_of(project))
    record = project.record()
    assert record.status == "cancelled"
    assert [str(one.result.outcome) for one in record.attempts[1:] if one.result] == ["cancelled", "cancelled"]


def agents_of(project: GumpProject) -> list[int]:
    name = f"{project.path.name}-agent.py"
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(word.endswith(name) for word in words[1:2]) and "build::impl" in words:
            found.append(process.pid)
    return found


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
