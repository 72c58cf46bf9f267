"""Workers that share no disk with the controller: no access to the checkout, their own HOME and folder."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest
from pytest_gump.agents.cassettes.cassette import Cassette
from pytest_gump.executors.remote_mirror import RemoteHome
from pytest_gump.order import Order
from pytest_gump.system.worktrees.slots import Slots

from tests.kits.commands import gump
from tests.kits.parallel import prepare
from tests.kits.processes import is_gone, wait_until, worker_of
from tests.system.git_project import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """A remote host as far as files are concerned: an empty folder is mounted over the project."""

    folder: Path
    python: Path

    @classmethod
    def make(cls, folder: Path, project: GumpProject) -> Elsewhere:
        for name in ("empty", "home", "place"):
            (folder / name).mkdir(parents=True)
        python = folder / "python"
        python.write_text(
            f"#!/bin/sh\nexport HOME='{folder}/home' XDG_CACHE_HOME='{folder}/home/cache'\n"
            f"export TMPDIR=$(mktemp -d '{folder}/tmp-XXXX')\n"
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
    """Start an sshd on loopback that accepts this user, and yield the ssh configuration for it."""
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


WORKTREES = "home/cache/gump/remote/*/worktrees/w*"


def run(project: GumpProject, *options: str) -> pytest.RunResult:
    return project.pytester.runpytest_subprocess("--gump-workflow=side", *options, "spec.md")


def check(project: GumpProject, elsewhere: Elsewhere) -> None:
    """Check that all results of the remote attempts are in the project."""
    record = project.record()
    tree = project.tree(record.head)
    assert {f"n{number}.txt" for number in range(4)} <= set(tree)
    assert all(str(elsewhere.folder / "home") in tree[f"n{number}.txt"] for number in range(4))
    run = project.folders()[0]
    folders = [one.folder for one in record.attempts if one.folder and "impl" in one.folder]
    assert len(folders) == 4
    assert all((run.attempts / folder / "stream.ndjson").is_file() for folder in folders)
    refs = project.git("for-each-ref", "--format=%(refname)", f"refs/gump/{record.run_id}").splitlines()
    assert len([ref for ref in refs if "impl" in ref and "/attempts/" in ref]) == 4
    assert record.total.cost_usd == pytest.approx(0.04)


def test_workers_without_access_to_the_checkout_have_the_same_results(
    project: GumpProject, elsewhere: Elsewhere
) -> None:
    run(project, *elsewhere.workers("popen")).assert_outcomes(passed=10)
    check(project, elsewhere)
    places = elsewhere.folder.glob
    assert 2 <= len({path.name for path in places(WORKTREES) if path.is_dir()}) <= 4
    second = run(project, *elsewhere.workers("popen", 1))
    second.assert_outcomes(passed=10)
    assert sorted(path.name for path in places(WORKTREES) if path.is_dir()) == ["w1", "w2", "w3", "w4"]


COMPOSED: Final = """\
name: side
steps:
  - {name: decompose, agent: script, output: plan, prompt: Split it.}
  - name: build
    foreach: decompose
    parallel: true
    steps:
      - name: impl
        agent: script
        prompt: Do it.
        gate: [compile, "validate: check"]
        on_failure: {retry: 2, strategy: [same]}
  - name: last
    agent: script
    prompt: Finish it.
    context: [{workflow: explain}]
    gate: [compile]
    hitl: before_gate
  - {name: ship, approve: true}
"""
CALLED: Final = {
    "check": 'name: check\nsteps: [{name: verdict, agent: script, output: review, prompt: "Right? {diff}"}]\n',
    "explain": "name: explain\nsteps: [{name: tell, agent: script, output: artifact, prompt: Explain it.}]\n",
}
COMPOSED_SCRIPT: Final = """
usage(0.01)
if step == "decompose":
    plan(*({"name": f"n{number}", "description": "d"} for number in range(2)))
elif step == "build::impl":
    write(f"{item}.txt", str(attempt))
elif step == "build::impl--validate-check::verdict":
    assert f"+{attempt}" in prompt
    verdict = {"pass": attempt == 2 or item == "n1", "comment": "Do it again."}
    write(".gump/out/review.json", json.dumps(verdict))
elif step == "last--context-explain::tell":
    write(".gump/out/artifact.txt", os.environ["HOME"])
elif step == "last":
    write("last.txt", prompt)
"""


def test_validators_contexts_and_approvals_work_on_other_hosts(project: GumpProject, tmp_path: Path) -> None:
    prepare(project, COMPOSED_SCRIPT, workflow=COMPOSED)
    for name, text in CALLED.items():
        project.workflow(name, text)
    elsewhere = Elsewhere.make(tmp_path / "away", project)
    workers = elsewhere.workers("popen")
    assert run(project, *workers).ret == 1
    for step in ("last", "ship"):
        assert project.record().status == "awaiting"
        assert gump("approve", step, "--by", "Ada").returncode == 0
        result = project.pytester.runpytest_subprocess("--gump-resume", *workers)
    assert result.ret == 0
    record = project.record()
    tree = project.tree(record.branch)
    assert (tree["n0.txt"], tree["n1.txt"]) == ("2", "1")
    assert str(elsewhere.folder / "home") in tree["last.txt"]
    parts = Counter(one.step for one in record.attempts)
    assert (parts["build::impl[n0]"], parts["build::impl--validate-check::verdict[n0]"]) == (2, 2)
    assert (parts["build::impl[n1]"], parts["build::impl--validate-check::verdict[n1]"]) == (1, 1)
    assert parts["last"] == 2, "the part of the agent, and the gates after the approval"
    assert record.total.cost_usd == pytest.approx(0.09)


def test_workers_over_ssh_have_the_same_results(project: GumpProject, elsewhere: Elsewhere, ssh_config: Path) -> None:
    run(project, *elsewhere.workers(f"ssh=other//ssh_config={ssh_config}")).assert_outcomes(passed=10)
    check(project, elsewhere)


def test_conversation_is_resumed_on_the_host_that_stores_it(project: GumpProject, elsewhere: Elsewhere) -> None:
    """A validator in between runs there too, on the files of the attempt."""
    workflow = """\
name: side
steps:
  - name: impl
    agent: script
    session: reuse-on-retry
    prompt: Do it.
    gate: ["bash: test -f done.txt", "validate: check"]
    on_failure: {retry: 3, strategy: [same]}
"""
    validator = 'name: check\nsteps: [{name: judge, agent: script, output: review, prompt: "Judge {diff}"}]\n'
    script = """
if step == "impl":
    write("done.txt" if attempt > 1 else "begun.txt", f"{attempt} " + os.getcwd())
else:
    reviewed = pathlib.Path("done.txt").read_text()
    comment = f"{reviewed.split()[0]} {'done.txt' in prompt}"
    (out / "review.json").write_text(json.dumps({"pass": attempt > 1, "comment": comment}))
"""
    project.workflow("check", validator)
    prepare(project, script, workflow=workflow)
    run(project, *elsewhere.workers("popen")).assert_outcomes(passed=2)
    record = project.record()
    assert [one.session_resumed for one in record.steps["impl"].attempts] == [False, True, True]
    assert [one.result.notes for one in record.attempts if one.result] == [()] * 5
    tree = project.tree(record.head)
    begun, done = (tree[name].split()[1] for name in ("begun.txt", "done.txt"))
    assert begun == done
    verdicts = [one.result.verdict for one in record.steps["impl--validate-check::judge"].attempts if one.result]
    assert [one.comment for one in verdicts if one is not None] == ["2 True", "3 True"]


def test_interrupted_run_stops_remote_workers(project: GumpProject, elsewhere: Elsewhere) -> None:
    said = elsewhere.folder / "said"
    said.mkdir()
    prepare(project, SCRIPT + f"if item:\n    open(f'{said}/{{item}}', 'w').close()\n    time.sleep(600)\n")
    words = [sys.executable, "-m", "pytest", "--gump-workflow=side", *elsewhere.workers("popen"), "spec.md"]
    with subprocess.Popen(words, cwd=project.path, stdout=subprocess.PIPE, text=True) as session:
        wait_until(lambda: len([*said.iterdir()]) == 4)
        began = time.monotonic()
        session.send_signal(signal.SIGINT)
        session.communicate(timeout=20)
        assert time.monotonic() - began < 10
    assert session.returncode == pytest.ExitCode.INTERRUPTED
    wait_until(lambda: not agents_of(project))
    record = project.record()
    assert record.status == "cancelled"
    assert [str(one.result.outcome) for one in record.attempts[1:] if one.result] == ["cancelled"] * 4
    check_stopped(project)


def check_stopped(project: GumpProject) -> None:
    """Check that the files and costs of the stopped remote attempts are recorded."""
    record, run = project.record(), project.folders()[0]
    assert record.total.cost_usd == pytest.approx(0.04)
    for one in record.attempts[1:]:
        assert one.folder is not None
        assert "usage" in (run.attempts / one.folder / "stream.ndjson").read_text()
        assert one.result is not None
        assert one.result.snapshot is not None
        assert any(name.startswith("n") for name in project.tree(one.result.snapshot))


def test_cost_of_an_attempt_whose_files_cannot_be_sent_is_recorded(project: GumpProject, elsewhere: Elsewhere) -> None:
    """The agent deletes the folder in which the worker packs the files."""
    workflow = "name: side\nsteps:\n  - {name: impl, agent: script, prompt: Do it.}\n"
    script = 'write("new.txt", "x")\nusage(0.25)\nimport shutil\nshutil.rmtree(os.environ["TMPDIR"])\n'
    prepare(project, script, workflow=workflow)
    result = run(project, *elsewhere.workers("popen", 1))
    assert result.parseoutcomes() == {"failed": 1, "retried": 1}
    first = project.record().attempts[0].result
    assert first is not None
    assert (str(first.outcome), first.usage.cost_usd) == ("crashed", 0.25)
    assert "the files of the attempt did not arrive from its worker" in first.reason
    assert (first.snapshot, first.scratch) == (None, None)


@pytest.mark.parametrize("kind", ["pack", "files"])
def test_cost_of_an_attempt_whose_files_arrive_damaged_is_recorded(
    project: GumpProject, elsewhere: Elsewhere, kind: str
) -> None:
    workflow = "name: side\nsteps:\n  - {name: impl, agent: script, prompt: Do it.}\n"
    prepare(project, 'write("new.txt", "x")\nusage(0.25)\n', workflow=workflow)
    place = elsewhere.folder / "place" / "conftest.py"
    place.write_text((project.path / "conftest.py").read_text() + DAMAGE.format(kind=kind))
    result = run(project, *elsewhere.workers("popen", 1))
    assert result.parseoutcomes() == {"failed": 1, "retried": 1}
    record = project.record()
    assert [str(one.result.outcome) for one in record.attempts if one.result] == ["crashed", "crashed"]
    assert record.total.cost_usd == 0.5
    assert "the files of the attempt did not arrive from its worker" in record.steps["impl"].reason


def test_last_reported_cost_of_a_lost_remote_worker_is_recorded(project: GumpProject, elsewhere: Elsewhere) -> None:
    workflow = "name: side\nsteps:\n  - {name: impl, agent: script, prompt: Do it.}\n"
    prepare(project, "usage(0.25)\ntime.sleep(600)\n", workflow=workflow)
    words = [sys.executable, "-m", "pytest", "--gump-workflow=side", *elsewhere.workers("popen", 1), "spec.md"]
    with subprocess.Popen(words, cwd=project.path, stdout=subprocess.PIPE, text=True) as session:
        for _ in range(2):
            wait_until(lambda: bool(agents_of(project, "impl")))
            agent = psutil.Process(agents_of(project, "impl")[0])
            time.sleep(1)
            worker_of(agent).kill()
            wait_until(partial(is_gone, agent))
        session.communicate(timeout=30)
    record = project.record()
    assert [str(one.result.outcome) for one in record.attempts if one.result] == ["crashed", "crashed"]
    assert (record.total.cost_usd, record.total.unknown) == (0.5, 0)


def test_remote_worker_that_hangs_is_dropped(project: GumpProject, elsewhere: Elsewhere) -> None:
    workflow = "name: side\nsteps:\n  - {name: impl, agent: script, prompt: Do it.}\n"
    flag = elsewhere.folder / "flag"
    hang = f"if not os.path.exists({str(flag)!r}):\n    write({str(flag)!r}, '')\n    time.sleep(600)\n"
    prepare(project, f"usage(0.25)\n{hang}write('new.txt', 'x')\n", workflow=workflow)
    words = [sys.executable, "-m", "pytest", "--gump-workflow=side", *elsewhere.workers("popen", 1), "spec.md"]
    with subprocess.Popen(words, cwd=project.path, stdout=subprocess.PIPE, text=True) as session:
        wait_until(lambda: flag.exists() and bool(agents_of(project, "impl")))
        agent = psutil.Process(agents_of(project, "impl")[0])
        time.sleep(3)  # its usage must arrive first
        worker_of(agent).suspend()
        wait_until(partial(is_gone, agent))
        session.communicate(timeout=30)
    assert session.returncode == pytest.ExitCode.OK
    record = project.record()
    assert [str(one.result.outcome) for one in record.attempts if one.result] == ["crashed", "passed"]
    assert (record.total.cost_usd, record.total.unknown) == (0.5, 0)


DAMAGE = """
from pytest_gump.executors.worker import OrderServer
send = OrderServer._send

def cut(self, *message):
    send(self, *message[:3], message[3][20:]) if message[0] == "part" and message[2] == "{kind}" else send(self, *message)

OrderServer._send = cut
"""


def test_recordings_of_remote_workers_arrive_at_the_controller(project: GumpProject, elsewhere: Elsewhere) -> None:
    cassette = project.path.parent / f"{project.path.name}-recorded"
    run(project, *elsewhere.workers("popen"), f"--gump-record={cassette}").assert_outcomes(passed=10)
    expected = project.tree(project.record().head)
    assert len(Cassette.open(cassette).takes) == 5
    shutil.rmtree(elsewhere.folder)
    run(project, "-n0", f"--gump-replay={cassette}").assert_outcomes(passed=10)
    assert project.tree(project.record().head) == expected


def agents_of(project: GumpProject, step: str = "build::impl") -> list[int]:
    name = f"{project.path.name}-agent.py"
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(word.endswith(name) for word in words[1:2]) and step in words:
            found.append(process.pid)
    return found


def test_an_order_with_a_side_slot_gets_two_worktrees_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    slots = Slots(make_project(tmp_path).open(), tmp_path / "slots")
    home = RemoteHome(run_id="r", machine="m", project="/p/app", python=sys.executable, object_format="sha1")
    order = Order("r", "impl", 1, "diff", None, "0", "0", "0", "w7", side="w8")
    first, second = home.own(order, slots), home.own(order, slots)
    assert (first.slots, second.slots) == (("w1", "w2"), ("w3", "w4"))
    home.release(first.slots, is_clean=True)
    assert set(home.own(order, slots).slots) == {"w1", "w2"}
    home.release(second.slots, is_clean=False)
    assert not {"w3", "w4"} & {*home.own(order, slots).slots}
