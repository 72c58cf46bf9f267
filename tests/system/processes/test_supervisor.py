"""Commands that try to end or escape their supervision."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.cgroup import create_cgroup, join_cgroup, kill_cgroup, remove_cgroup
from pytest_gump.system.processes.process import Exit, Request, Supervisor

from tests.kits.processes import running, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="macOS has no subreaper")
pytestmark = LINUX


@pytest.fixture(params=[True, False], ids=["delegated", "no cgroup"])
def supervisor(request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    with Supervisor(with_cgroup=request.param) as running:
        if request.param and running.cgroup is None:
            pytest.skip("cgroups are not delegated to this user")
        yield running


@pytest.fixture
def run(supervisor: Supervisor, tmp_path: Path) -> Callable[..., Exit]:
    def run(shell: str, **options: object) -> Exit:
        request = Request((), tmp_path, child_environment(), "mark", tmp_path / "out", shell=shell)
        return supervisor.run(request, **options)  # type: ignore[arg-type]

    return run


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "escape.py"
    path.write_text(text)
    return f"{sys.executable} -I -S {path}"


CHAIN = """\
import os, sys, time
stop, count = {stop!r}, 20_000
if sys.argv[1:] != ["bare"]:
    os.execve(sys.executable, [sys.executable, "-I", "-S", sys.argv[0], "bare"], {{}})
for branch in range({branches}):
    if os.fork() == 0:
        break
else:
    time.sleep({lives})
    os._exit(0)
for generation in range(count):
    if os.path.exists(stop):
        break
    if os.fork():
        os._exit(0)
    os.setsid()
"""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A command whose processes repeatedly fork and exit at once, without a common session, group or mark."""
    stop = tmp_path / "stop"

    def chain(*, branches: int = 1, lives: float = 0.3) -> str:
        return script(tmp_path, CHAIN.format(stop=str(stop), branches=branches, lives=lives))

    yield chain
    stop.touch()


@pytest.mark.parametrize("branches", [1, 8])
def test_fork_chain_without_environment_and_session_is_ended(
    run: Callable[..., Exit], chain: Callable[..., str], tmp_path: Path, branches: int
) -> None:
    finished = run(chain(branches=branches), grace_s=0.2)
    assert (finished.exit_code, finished.unkilled) == (0, 0)
    assert finished.left_running >= 1
    assert running(str(tmp_path / "escape.py")) == []


def test_fork_chain_is_ended_when_the_command_is_stopped(
    run: Callable[..., Exit], chain: Callable[..., str], tmp_path: Path
) -> None:
    finished = run(chain(lives=60), timeout_s=0.3, grace_s=0.2)
    assert (finished.stopped, finished.unkilled) == ("timeout", 0)
    assert running(str(tmp_path / "escape.py")) == []


KILLS = {
    "keeper": "kill -9 $PPID",
    "supervisor": "kill -9 $(ps -o ppid= -p $PPID)",
    "both": "kill -9 $(ps -o ppid= -p $PPID) $PPID",
    "stopped keeper": "kill -STOP $PPID",
    "stopped both": "kill -STOP $(ps -o ppid= -p $PPID) $PPID",
}


SLOW = {"stopped both"}


@pytest.mark.parametrize("kill", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in KILLS])
def test_unmarked_daemon_is_ended_if_the_command_attacks_its_supervision(
    run: Callable[..., Exit], supervisor: Supervisor, tmp_path: Path, kill: str
) -> None:
    daemon = tmp_path / "daemon"
    daemon.write_text("sleep 300; :\n")
    started = f"(setsid env -i /bin/sh {daemon} >/dev/null 2>&1 </dev/null &); sleep 0.2"
    began = time.monotonic()
    finished = run(f"{started}; {KILLS[kill]}; sleep 300", timeout_s=2, grace_s=0.2)
    assert finished.error == "the supervisor of the command was killed by another process"
    assert finished.unkilled == 0
    assert running(str(daemon)) == []
    assert time.monotonic() - began < 25
    assert run("exit 5").exit_code == 5
    assert [one for one in psutil.Process().children() if one.pid != supervisor.pid] == []


def test_processes_of_others_are_not_ended(run: Callable[..., Exit], tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as other:
        run(f"{KILLS['both']}; sleep 300")
        assert other.poll() is None
        other.kill()


EXECUTOR = """\
import sys
from pathlib import Path
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.process import Request, Supervisor
folder = Path(sys.argv[1])
with Supervisor(with_cgroup=sys.argv[3] == "True") as supervisor:
    supervisor.run(Request((), folder, child_environment(), "killed", folder / "out", shell=sys.argv[2]))
"""


@pytest.mark.parametrize("kill", ["keeper", "supervisor"])
@pytest.mark.parametrize("with_cgroup", [True, False])
def test_unmarked_daemon_is_ended_if_the_executor_is_killed_too(
    tmp_path: Path, kill: str, *, with_cgroup: bool
) -> None:
    daemon = tmp_path / "daemon"
    daemon.write_text("sleep 300; :\n")
    command = (
        f"(setsid env -i /bin/sh {daemon} >/dev/null 2>&1 </dev/null &); sleep 0.2;"
        f"kill -9 $(cat {tmp_path}/executor); {KILLS[kill]}; sleep 300"
    )
    words = [sys.executable, "-c", EXECUTOR, str(tmp_path), command, str(with_cgroup)]
    with subprocess.Popen(words) as executor:
        (tmp_path / "executor").write_text(str(executor.pid))
        assert executor.wait(30) == -signal.SIGKILL
    wait_until(lambda: not running(str(daemon)), 10)


# -- control groups --------------------------------------------------------------------------------------------------


@pytest.fixture
def cgroup() -> Iterator[Path]:
    group = create_cgroup()
    if group is None:
        pytest.skip("cgroups are not delegated to this user")
    yield group
    kill_cgroup(group)
    remove_cgroup(group)


def test_supervisor_removes_its_cgroup(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        place = supervisor.cgroup
        supervisor.run(Request(("true",), tmp_path, child_environment(), "m", tmp_path / "out"))
        if place is not None:
            assert str(supervisor.pid) in (place / "cgroup.procs").read_text().split()
    assert supervisor.cgroup is None
    assert place is None or not place.exists()


def test_killed_cgroup_is_empty_and_is_removed_with_inner_cgroups(cgroup: Path) -> None:
    (cgroup / "inner").mkdir()
    pid = os.fork()
    if pid == 0:
        join_cgroup(str(cgroup / "inner"))
        time.sleep(60)
        os._exit(0)
    wait_until((cgroup / "inner" / "cgroup.procs").read_text, 5)
    assert kill_cgroup(cgroup)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    remove_cgroup(cgroup)
    assert not cgroup.exists()


def test_next_executor_removes_the_cgroup_of_a_killed_one(cgroup: Path) -> None:
    words = cgroup.name.split("-")
    stale = cgroup.with_name("-".join([*words[:2], "999999999", *words[3:]]))
    stale.mkdir()
    other = cgroup.with_name("-".join(["gump", "1", *stale.name.split("-")[2:]]))
    other.mkdir()
    try:
        again = create_cgroup()
        assert again is not None
        remove_cgroup(again)
        assert not stale.exists()
        assert other.exists()
        assert cgroup.exists()
    finally:
        remove_cgroup(other)


def test_joining_a_missing_cgroup_fails_without_an_error(tmp_path: Path) -> None:
    assert not join_cgroup(str(tmp_path / "missing"))


# -- systems that do not adopt orphans (macOS) --------------------------------------------------------------------------


def test_processes_are_found_by_group_and_mark_without_a_subreaper(tmp_path: Path) -> None:
    """Run a keeper that does not use the subreaper of this system."""
    program = tmp_path / "keeper.py"
    program.write_text(
        "import os, socket, sys\nfrom pytest_gump.system.processes import keeper\n"
        "one = keeper.Keeper(socket.socket(fileno=int(sys.argv[1])))\n"
        "keeper.become_subreaper(wanted=False)\none.is_reaper = False\none.serve()\n"
    )
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen([sys.executable, str(program), str(theirs.fileno())], pass_fds=[theirs.fileno()]) as process,
    ):
        theirs.close()
        command = "trap '' TERM; (setsid sleep 4243 &) ; sleep 4243 & sleep 0.2; exit 3"
        env = {"PATH": os.environ["PATH"], "GUMP_ATTEMPT": "apart"}
        frame = {"op": "run", "argv": ["sh", "-c", command], "env": env, "cwd": "/", "mark": "apart", "grace": 0.2}
        body = json.dumps(frame).encode()
        with Path(os.devnull).open("r+b") as null:
            socket.send_fds(ours, [len(body).to_bytes(4, "big")], [null.fileno()] * 3)
        ours.sendall(body)
        with ours.makefile("rb") as replies:
            events = [json.loads(replies.readline()) for _ in range(2)]
        ours.close()
        assert process.wait(20) == 0
    assert [event["event"] for event in events] == ["started", "ended"]
    assert (os.waitstatus_to_exitcode(events[1]["status"]), events[1]["left"], events[1]["unkilled"]) == (3, 2, 0)
    assert running("sleep 4243") == []
