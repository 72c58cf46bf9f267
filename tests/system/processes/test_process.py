from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from pytest_gump.errors import GumpError
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.keeper import RESET
from pytest_gump.system.processes.process import Exit, Request, Supervisor

from tests.kits.processes import is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MARK = "test-mark"


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as running:
        yield running


@pytest.fixture
def run(supervisor: Supervisor, tmp_path: Path) -> Callable[..., Exit]:
    def run(shell: str, *, stdin: bytes = b"", merged: bool = False, **options: object) -> Exit:
        stderr = None if merged else tmp_path / "stderr"
        request = Request((), tmp_path, child_environment(), MARK, tmp_path / "stdout", stderr, stdin, shell)
        return supervisor.run(request, **options)  # type: ignore[arg-type]

    return run


def written_pid(path: Path) -> int:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"{path} was never written")


def test_stdout_and_stderr_are_stored_separately_with_the_exit_code(run: Callable[..., Exit], tmp_path: Path) -> None:
    finished = run("echo out; echo err >&2; exit 3")
    assert (finished.exit_code, finished.signal, finished.stopped) == (3, None, None)
    assert (tmp_path / "stdout").read_bytes() == b"out\n"
    assert (tmp_path / "stderr").read_bytes() == b"err\n"


def test_merged_output_keeps_the_order(run: Callable[..., Exit], tmp_path: Path) -> None:
    run("echo 1; echo 2 >&2; echo 3", merged=True)
    assert (tmp_path / "stdout").read_bytes() == b"1\n2\n3\n"


def test_records_on_descriptor_3_are_stored_in_their_own_file(supervisor: Supervisor, tmp_path: Path) -> None:
    records = tmp_path / "records"
    request = Request(
        (),
        tmp_path,
        child_environment(),
        MARK,
        tmp_path / "out",
        shell="echo one >&3; echo said; echo two >&3",
        records=records,
    )
    assert supervisor.run(request).exit_code == 0
    assert records.read_text() == "one\ntwo\n"
    assert (tmp_path / "out").read_text() == "said\n"


def test_command_without_records_inherits_only_three_descriptors(run: Callable[..., Exit], tmp_path: Path) -> None:
    script = tmp_path / "open.py"
    script.write_text(
        "import os\n\ndef is_open(fd):\n    try:\n        os.fstat(fd)\n    except OSError:\n        return False\n"
        "    return True\n\nprint([fd for fd in range(256) if is_open(fd)])\n"
    )
    run(f"exec {sys.executable} -I {script}")
    assert (tmp_path / "stdout").read_text() == "[0, 1, 2]\n"


def test_reopened_stderr_is_not_truncated(run: Callable[..., Exit], tmp_path: Path) -> None:
    run("echo first >&2; echo second > /dev/stderr")
    assert (tmp_path / "stderr").read_text() == "first\nsecond\n"


def test_one_supervisor_serves_many_runs(run: Callable[..., Exit], supervisor: Supervisor) -> None:
    run("true")
    first = supervisor.pid
    assert [run(f"exit {code}").exit_code for code in range(5)] == list(range(5))
    assert supervisor.pid == first


def test_stdin_is_complete_and_ends(run: Callable[..., Exit], tmp_path: Path) -> None:
    text = b"x" * 300_000 + b"\n"
    assert run("cat", stdin=text).exit_code == 0
    assert (tmp_path / "stdout").read_bytes() == text


def test_child_that_never_reads_its_stdin_does_not_block(run: Callable[..., Exit]) -> None:
    assert run("exit 0", stdin=b"y" * 5_000_000, timeout_s=10).stopped is None


def test_stdin_is_empty_by_default(run: Callable[..., Exit], tmp_path: Path) -> None:
    assert run("cat | wc -c", timeout_s=10).exit_code == 0
    assert (tmp_path / "stdout").read_text().strip() == "0"


def test_missing_program_is_an_error_that_names_it(supervisor: Supervisor, tmp_path: Path) -> None:
    request = Request(("no-such-program-here",), tmp_path, child_environment(), MARK, tmp_path / "out")
    finished = supervisor.run(request)
    assert finished.error == "cannot start 'no-such-program-here': No such file or directory"


def test_argument_that_is_too_long_is_reported_as_such(supervisor: Supervisor, tmp_path: Path) -> None:
    request = Request(("true", "x" * 300_000), tmp_path, child_environment(), MARK, tmp_path / "out")
    finished = supervisor.run(request)
    assert finished.error is not None
    assert "Argument list too long" in finished.error


def test_missing_folder_is_an_error_that_names_it(supervisor: Supervisor, tmp_path: Path) -> None:
    request = Request(("true",), tmp_path / "gone", child_environment(), MARK, tmp_path / "out")
    with pytest.raises(GumpError, match=r"cannot enter the folder .*gone"):
        supervisor.run(request)


def test_signal_that_ended_the_command_is_reported(run: Callable[..., Exit]) -> None:
    finished = run("kill -9 $$")
    assert (finished.exit_code, finished.signal) == (None, 9)


def test_environment_is_the_given_one_and_the_mark(supervisor: Supervisor, tmp_path: Path) -> None:
    request = Request(("/usr/bin/env",), tmp_path, {"A": "ä\udcff"}, "m1", tmp_path / "out")
    supervisor.run(request)
    assert sorted((tmp_path / "out").read_bytes().splitlines()) == [b"A=\xc3\xa4\xff", b"GUMP_ATTEMPT=m1"]


def test_child_has_default_signals_and_its_own_session(run: Callable[..., Exit], tmp_path: Path) -> None:
    run(f"{sys.executable} -c 'import os; print(os.getsid(0) == os.getppid())'; sed -n /SigIgn/p /proc/self/status")
    session, ignored = (tmp_path / "stdout").read_text().splitlines()
    assert session == "True"
    ours = sum(1 << (number - 1) for number in RESET)
    assert int(ignored.split()[1], 16) & ours == 0


# -- lines ---------------------------------------------------------------------------------------------------------


def test_lines_are_passed_on_one_by_one_and_the_last_needs_no_newline(run: Callable[..., Exit]) -> None:
    lines: list[bytes] = []
    run(r"printf 'a\n\nb\0c\n\377\nlast'", on_line=lines.append)
    assert lines == [b"a", b"", b"b\0c", b"\xff", b"last"]


def test_line_of_50_megabytes_is_stored_and_not_passed_on(run: Callable[..., Exit], tmp_path: Path) -> None:
    lines: list[bytes] = []
    sizes: list[int] = []
    command = f"""{sys.executable} -c 'import sys
for _ in range(50): sys.stdout.write("x" * 1000000)
print(); print("after")'"""
    before = psutil.Process().memory_info().rss
    finished = run(command, on_line=lines.append, on_oversize=sizes.append)
    assert finished.exit_code == 0
    assert lines == [b"after"]
    assert sizes == [50_000_000]
    assert (tmp_path / "stdout").stat().st_size == 50_000_007
    assert psutil.Process().memory_info().rss - before < 40_000_000


def test_line_of_two_megabytes_is_passed_on_complete(run: Callable[..., Exit]) -> None:
    sizes: list[int] = []
    run("head -c 2000000 /dev/zero | tr '\\0' y; echo", on_line=lambda line: sizes.append(len(line)))
    assert sizes == [2_000_000]


def test_line_callback_can_stop_endless_output(run: Callable[..., Exit]) -> None:
    finished = run("yes", on_line=lambda line: "enough", grace_s=1)
    assert finished.stopped == "enough"
    assert finished.signal == signal.SIGTERM


def test_tick_callback_can_stop_a_silent_command(run: Callable[..., Exit]) -> None:
    ticks: list[float] = []

    def tick() -> str | None:
        ticks.append(time.monotonic())
        return "silent for too long" if len(ticks) == 3 else None

    finished = run("sleep 60", on_tick=tick)
    assert finished.stopped == "silent for too long"
    assert 0.3 < finished.duration_s < 3


def test_lines_printed_while_stopping_are_read(run: Callable[..., Exit]) -> None:
    lines: list[bytes] = []
    command = "trap 'echo result; exit 0' TERM; echo ready; while :; do sleep 0.05; done"

    def on_line(line: bytes) -> str | None:
        lines.append(line)
        return "stop" if line == b"ready" else None

    finished = run(command, on_line=on_line)
    assert lines == [b"ready", b"result"]
    assert (finished.stopped, finished.exit_code) == ("stop", 0)


# -- ends ------------------------------------------------------------------------------------------------------------


def test_timeout_ends_the_process_tree(run: Callable[..., Exit], tmp_path: Path) -> None:
    finished = run(f"sh -c 'sleep 300 & echo $! > {tmp_path}/pid; wait'", timeout_s=0.5)
    assert finished.stopped == "timeout"
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_command_that_ignores_sigterm_is_killed_after_the_grace_period(run: Callable[..., Exit]) -> None:
    finished = run("trap '' TERM; while :; do sleep 0.1; done", timeout_s=0.2, grace_s=0.5)
    assert finished.signal == signal.SIGKILL
    assert 0.6 < finished.duration_s < 4


def test_background_child_with_open_stdout_does_not_delay_the_end(run: Callable[..., Exit], tmp_path: Path) -> None:
    finished = run(f"sleep 300 & echo $! > {tmp_path}/pid; echo done")
    assert (finished.exit_code, finished.left_running, finished.stopped) == (0, 1, None)
    assert finished.duration_s < 5
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_orphan_in_its_own_session_that_ignores_sigterm_is_killed(run: Callable[..., Exit], tmp_path: Path) -> None:
    script = f'trap "" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done'
    finished = run(f"(setsid sh -c '{script}' </dev/null >/dev/null 2>&1 &); sleep 0.3; exit 0", grace_s=0.3)
    assert finished.exit_code == 0
    assert finished.left_running >= 1
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_orphan_without_its_environment_is_killed(run: Callable[..., Exit], tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 300"
    finished = run(f"(setsid env -i /bin/sh -c '{script}' </dev/null >/dev/null 2>&1 &); sleep 0.3")
    assert finished.left_running == 1
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_stopped_process_is_ended(run: Callable[..., Exit], tmp_path: Path) -> None:
    finished = run(f"sleep 300 & echo $! > {tmp_path}/pid; kill -STOP $!; exit 0", grace_s=0.5)
    assert finished.left_running == 1
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_child_that_is_about_to_exit_does_not_count_as_left_running(run: Callable[..., Exit]) -> None:
    finished = run("sleep 0.1 & exit 0")
    assert (finished.exit_code, finished.left_running) == (0, 0)


def test_processes_that_keep_forking_are_all_ended_at_the_timeout(run: Callable[..., Exit], tmp_path: Path) -> None:
    script = tmp_path / "fork.sh"
    script.write_text("trap '' TERM\nsleep 0.05\nsetsid sh $0 &\nsleep 0.2\n")
    run(f"sh {script}; sleep 60", timeout_s=0.6, grace_s=0.3)
    time.sleep(0.5)
    assert [each.pid for each in psutil.process_iter(["cmdline"]) if str(script) in (each.info["cmdline"] or [])] == []


def test_exception_in_a_callback_is_raised_after_the_process_tree_ends(
    run: Callable[..., Exit], tmp_path: Path
) -> None:
    def interrupt(line: bytes) -> str | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(f"echo $$ > {tmp_path}/pid; echo go; sleep 300", on_line=interrupt)
    assert not is_alive(written_pid(tmp_path / "pid"))
    assert run("exit 4").exit_code == 4


def test_killed_supervisor_is_replaced_and_its_command_ended(run: Callable[..., Exit], tmp_path: Path) -> None:
    command = f"(setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 300' &); sleep 0.3; kill -9 $PPID; sleep 300"
    finished = run(command, timeout_s=20)
    assert finished.error == "the supervisor of the command was killed by another process"
    assert finished.exit_code is None
    assert not is_alive(written_pid(tmp_path / "pid"))
    assert run("exit 5").exit_code == 5


def test_close_ends_the_supervisor(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.run(Request(("true",), tmp_path, child_environment(), MARK, tmp_path / "out"))
        pid = supervisor.pid
    assert pid is not None
    assert not is_alive(pid)


EXECUTOR = """
import sys
from pathlib import Path
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.process import Request, Supervisor
folder = Path(sys.argv[1])
with Supervisor() as supervisor:
    supervisor.run(Request((), folder, child_environment(), "killed", folder / "out", shell=sys.argv[2]))
"""


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = (
        f"echo $$ > {tmp_path}/main; trap '' TERM;"
        f"(setsid sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/orphan; while :; do sleep 0.1; done' &);"
        "while :; do sleep 0.1; done"
    )
    with subprocess.Popen([sys.executable, "-c", EXECUTOR, str(tmp_path), script]) as process:
        yield process
        process.kill()


def test_all_processes_of_a_killed_executor_are_ended(executor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pids = [written_pid(tmp_path / "main"), written_pid(tmp_path / "orphan")]
    pids.append(psutil.Process(pids[0]).ppid())
    executor.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 8)


def test_ctrl_c_in_the_executor_ends_all_its_processes(executor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pids = [written_pid(tmp_path / "main"), written_pid(tmp_path / "orphan")]
    executor.send_signal(signal.SIGINT)
    assert executor.wait(15) == -signal.SIGINT
    assert not any(is_alive(pid) for pid in pids)


def test_forked_copy_of_a_killed_executor_does_not_keep_the_command_alive(tmp_path: Path) -> None:
    code = EXECUTOR.replace(
        "with Supervisor() as supervisor:",
        "import os, threading, time\nthreading.Timer(0.5, lambda: os.fork() or (time.sleep(30), os._exit(0))).start()\n"
        "with Supervisor() as supervisor:",
    )
    script = f"echo $$ > {tmp_path}/main; sleep 300"
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path), script]) as process:
        pid = written_pid(tmp_path / "main")
        time.sleep(1)
        copies = psutil.Process(process.pid).children()
        process.kill()
        wait_until(lambda: not is_alive(pid), 8)
    for copy in copies:
        if copy.is_running():
            copy.kill()


def test_supervisor_ignores_the_signals_of_a_terminal(run: Callable[..., Exit], supervisor: Supervisor) -> None:
    run("true")
    assert supervisor.pid is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(supervisor.pid, number)
    assert run("exit 6").exit_code == 6


def test_supervisor_is_started_before_the_first_command() -> None:
    with Supervisor() as supervisor:
        assert supervisor.pid is not None
        assert psutil.pid_exists(supervisor.pid)
