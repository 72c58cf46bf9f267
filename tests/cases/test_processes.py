"""Agents that attack or outlive their supervisor, print endlessly or do not exit, and sessions that are suspended."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.cases.kit import report_text
from tests.kits.processes import running, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kits.rogue import Rogue

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS has no subreaper and no cgroups")

AGAIN = "    gate: [compile]\n    on_failure:\n      retry: 2\n"
DAEMON = """
daemon = beside / (user.name + "-daemon.sh")
daemon.write_text("sleep 600; :")
def start_daemon():
    words = ["env", "-i", "/bin/sh", str(daemon)]
    subprocess.Popen(words, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""


def settings(rogue: Rogue, lines: str) -> None:
    rogue.project.write({"pytest.ini": f"[pytest]\n{lines}\n"})
    rogue.project.commit("settings")


@pytest.mark.parametrize(
    "attack",
    [
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.kill(os.getppid(), signal.SIGSTOP)",
        "import psutil\n    for one in psutil.Process().parents()[:2]: one.kill()",
    ],
    ids=["keeper killed", "keeper stopped", "supervisor killed too"],
)
def test_daemon_of_an_agent_that_attacks_its_parents_is_ended(rogue: Rogue, attack: str) -> None:
    rogue.workflow(AGAIN)
    rogue.agent(
        DAEMON + f"if attempt == 1:\n    start_daemon(); time.sleep(0.3)\n    {attack}\n    time.sleep(60)\n"
        "write('new.py')"
    )
    ran = rogue.run()
    assert ran.code == 0
    assert [one.outcome for one in ran.results] == ["agent_error", "passed"]
    assert ran.has_one_line("the supervisor of the command was killed by another process")
    assert running(f"{rogue.project.path.name}-daemon.sh") == []


def test_daemon_of_an_agent_that_kills_the_session_is_ended(rogue: Rogue) -> None:
    rogue.agent(
        DAEMON + "import psutil\nparents = psutil.Process().parents()\nstart_daemon(); time.sleep(0.3)\n"
        "session = next(one for one in parents if '--gump-workflow=rogue' in one.cmdline())\n"
        "session.kill(); parents[0].kill(); time.sleep(60)"
    )
    process = rogue.project.pytester.popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--gump-workflow=rogue", "spec.md"]
    )
    assert process.wait(60) == -signal.SIGKILL
    process.stdout.close()
    process.stderr.close()
    wait_until(lambda: not running(f"{rogue.project.path.name}-daemon.sh"), 10)
    wait_until(lambda: not running(str(rogue.script)), 10)
    assert rogue.project.record().status == "running"  # shown as interrupted, since its process has ended


@pytest.mark.parametrize("branches", [1, 6])
def test_chain_of_forks_without_environment_is_ended(rogue: Rogue, branches: int) -> None:
    stop = rogue.script.with_name(f"{rogue.project.path.name}-stop")
    chain = rogue.script.with_name(f"{rogue.project.path.name}-chain.py")
    chain.write_text(
        "import os, sys\n"
        f"for generation in range(50_000):\n    if os.path.exists({str(stop)!r}) or os.fork(): os._exit(0)\n"
        "    os.setsid()\n"
    )
    rogue.agent(
        f"words = ['env', '-i', sys.executable, '-I', '-S', {str(chain)!r}]\n"
        f"for _ in range({branches}):\n"
        "    subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "time.sleep(0.5); write('new.py')"
    )
    try:
        ran = rogue.run()
        assert ran.result.outcome == "passed"
        assert any("that the agent left running" in note for note in ran.result.notes)
        assert running(str(chain)) == []
    finally:
        stop.touch()


def test_result_of_a_cli_that_does_not_exit_counts(rogue: Rogue) -> None:
    settings(rogue, "gump_silence_timeout = 2s")
    rogue.agent("write('new.py'); done(); time.sleep(600)", ends=False)
    ran = rogue.run()
    assert (ran.code, len(ran.results), ran.result.outcome) == (0, 1, "passed")
    assert "did not exit after its final event" in report_text(rogue)


@pytest.mark.parametrize(
    ("setting", "printed"),
    [
        ("gump_stream_lines", "while True: print('{}')"),
        ("gump_stream_bytes", "while True: sys.stdout.write('x' * 100000)"),
        ("gump_stream_bytes", "while True: sys.stderr.write('x' * 100000)"),
    ],
)
def test_agent_that_prints_endlessly_is_stopped_in_constant_memory(rogue: Rogue, setting: str, printed: str) -> None:
    settings(rogue, "gump_stream_lines = 20000\ngump_stream_bytes = 30000000")
    rogue.agent(f"say('usage', tokens={{'input': 10}}, cost_usd=0.5)\nwrite('new.py')\n{printed}")
    ran = rogue.run_apart()
    assert (ran.code, ran.result.outcome) == (1, "agent_error")
    assert setting in ran.result.reason
    assert ran.result.usage.cost_usd == 0.5
    assert ran.peak_mb < 200
    assert sum(rogue.artifact(name).stat().st_size for name in ("stream.ndjson", "stderr.txt")) <= 30_000_000


def test_full_disk_stops_the_agent_and_its_cost_is_recorded(rogue: Rogue) -> None:
    """A file size limit of the process replaces a full disk."""
    rogue.agent(
        "say('usage', tokens={'input': 10}, cost_usd=0.5)\nsys.stdout.flush()\nwhile True: say('text', text='x' * 9000)"
    )
    limited = ["/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 2000; exec "$@"', "sh"]
    ran = rogue.run_apart(prefix=tuple(limited))
    assert ran.result.outcome == "agent_error"
    assert "its output cannot be stored" in ran.result.reason
    assert ran.result.usage.cost_usd == 0.5


def test_time_in_which_a_session_is_suspended_does_not_count_for_max_time(rogue: Rogue, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    rogue.workflow("    guard: {max_time: 4s}\n    gate: [compile]\n")
    rogue.agent(f"write({str(begun)!r})\nwhile not os.path.exists({str(go)!r}): time.sleep(0.05)\nwrite('new.py')")
    process = rogue.project.pytester.popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--gump-workflow=rogue", "spec.md"]
    )
    wait_until(begun.exists)
    os.kill(process.pid, signal.SIGSTOP)
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    time.sleep(4.5)
    go.touch()
    os.kill(process.pid, signal.SIGCONT)
    with process.stdout as stream:
        output = stream.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0, output
    record = rogue.project.record()
    assert record.status == "passed"
    assert 0 <= record.duration_s < 30
