"""Forked processes, which execute several orders of a worker at the same time."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pytest_gump.executors.forked import ForkedRunners
from pytest_gump.executors.order_runner import ServedRun
from pytest_gump.system.processes.process import Supervisor

from tests.engine.attempt_kit import Kit, ScriptAgent
from tests.kits.processes import is_gone, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_gump.agents.base import Command, Task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

FLAGS = """
here, step = pathlib.Path({folder!r}), os.environ["GUMP_STEP"]
def wait_for(name):
    while not (here / name).exists():
        time.sleep(0.02)
write(here / f"{{step}}.pid", str(os.getpid()))
(here / step).touch()
write(f"{{step}}.txt", "x")
"""


class Driver:
    """Uses forked processes as a worker does."""

    def __init__(self, tmp_path: Path) -> None:
        supervisor = Supervisor()
        self.folder = tmp_path / "flags"
        self.folder.mkdir()
        self.kit = Kit(tmp_path, supervisor)
        self.messages: list[tuple[Any, ...]] = []
        self.runs = {"run-1": self.run()}
        self.forked = ForkedRunners(self.runs, supervisor, self.receive, (self.folder / "cut-off").touch)
        self.wake, self.woken = os.pipe()

    def run(self) -> ServedRun:
        tools = replace(self.kit.tools(), agents=lambda _name: self.kit.agent)
        return ServedRun(tools, shows_tools=False, home=None)

    def script(self, script: str) -> None:
        self.kit.script(FLAGS.format(folder=str(self.folder)) + script)

    def receive(self, *message: Any) -> None:
        self.messages.append(message)

    def start(self, ticket: int, step: str, **changes: Any) -> None:
        self.forked.start(ticket, self.kit.order(step=step, slot=f"w-{step}", **changes))

    def relay_until(self, condition: Callable[[], object]) -> None:
        def reached() -> object:
            if self.forked.is_busy and not condition():
                self.forked.relay(self.wake)
            return condition()

        wait_until(reached)

    def answers(self) -> dict[int, tuple[str, str]]:
        """Return the last message about each order: its kind, and its outcome or reason."""
        last = [message for message in self.messages if message[0] in {"result", "error", "lost"}]
        return {one[1]: (one[0], one[2]["outcome"] if one[0] == "result" else one[2]) for one in last}

    def all_end(self) -> dict[int, tuple[str, str]]:
        self.relay_until(lambda: not self.forked.is_busy)
        return self.answers()

    def has_begun(self, *steps: str) -> Callable[[], bool]:
        return lambda: all((self.folder / step).exists() for step in steps)

    def let(self, name: str) -> None:
        (self.folder / name).touch()

    def agent(self, step: str) -> psutil.Process:
        return psutil.Process(int((self.folder / f"{step}.pid").read_text()))

    def process(self, step: str) -> psutil.Process:
        """Return the forked process: the parent of the supervisor, which is the parent of the agent's keeper."""
        return self.agent(step).parents()[2]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path)
    yield driver
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie until the driver closes, or already gone
            if str(tmp_path) not in " ".join(child.cmdline()):
                child.send_signal(signal.SIGCONT)
    driver.forked.close()
    os.close(driver.wake)
    os.close(driver.woken)


def test_two_orders_are_executed_at_the_same_time(driver: Driver) -> None:
    driver.script('wait_for("other" if step == "this" else "this")')
    driver.start(1, "this")
    driver.start(2, "other")
    assert driver.all_end() == {1: ("result", "passed"), 2: ("result", "passed")}
    assert (driver.folder / "cut-off").exists()


def test_next_order_reuses_the_process(driver: Driver) -> None:
    driver.script("")
    processes = set()
    for ticket, step in enumerate(("this", "other", "this"), 1):
        driver.start(ticket, step)
        assert driver.all_end()[ticket] == ("result", "passed")
        processes |= {child.pid for child in psutil.Process().children()}
    assert len(processes) == 1


def test_process_does_not_execute_orders_of_a_newer_run(driver: Driver) -> None:
    driver.script('wait_for("go")')
    driver.let("go")
    driver.start(1, "this")
    driver.all_end()
    (older,) = psutil.Process().children()
    driver.runs["run-2"] = driver.run()
    driver.start(2, "other", run_id="run-2")
    assert driver.all_end() == {1: ("result", "passed"), 2: ("result", "passed")}
    wait_until(lambda: is_gone(older))


DAEMON = (
    'subprocess.Popen(["setsid", "env", "-i", "sh", "-c", f": {here}/daemon-{step}; sleep 600; :"])\nwait_for("go")'
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGXCPU, signal.SIGTERM])
def test_process_that_dies_loses_only_its_own_order(driver: Driver, number: signal.Signals) -> None:
    driver.script(DAEMON)
    driver.start(1, "this")
    driver.start(2, "other")
    daemons = [f"{driver.folder}/daemon-{step}" for step in ("this", "other")]
    driver.relay_until(lambda: all(map(running, daemons)))
    lost, other = driver.agent("this"), driver.agent("other")
    if number is signal.SIGKILL:
        driver.forked.kill(1)
    else:
        driver.process("this").send_signal(number)
    driver.relay_until(driver.answers)
    assert driver.answers() == {1: ("lost", f"killed by signal {number.value}")}
    wait_until(lambda: is_gone(lost) and not running(daemons[0]))
    assert running(daemons[1])
    assert other.is_running()
    driver.let("go")
    driver.start(3, "this")
    assert {driver.all_end()[ticket] for ticket in (2, 3)} == {("result", "passed")}
    assert not running(daemons[1])


class OddAgent(ScriptAgent):
    """Prints, forks, starts a thread or exits in the process, as an agent of a conftest may."""

    def command(self, task: Task) -> Command:
        if task.step == "exits":
            os._exit(3)
        sys.stdout.write(f"{task.step} prints\n")
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        thread = threading.Thread(target=sys.stdout.write, args=(f"{task.step} has a thread\n",))
        thread.start()
        thread.join()
        return super().command(task)


def test_agent_of_a_conftest_may_print_fork_and_start_threads(
    driver: Driver, capfd: pytest.CaptureFixture[str]
) -> None:
    driver.script("")
    driver.kit.agent = OddAgent(driver.kit.agent.script)
    sys.stdout.write("printed before")
    for ticket, step in enumerate(("this", "other", "exits"), 1):
        driver.start(ticket, step)
    expected = {1: ("result", "passed"), 2: ("result", "passed"), 3: ("lost", "exit code 3")}
    assert driver.all_end() == expected
    driver.forked.close()
    printed = capfd.readouterr().out
    assert printed.count("printed before") == 1
    for text in ("this prints", "other prints", "this has a thread", "other has a thread"):
        assert text in printed


def test_order_that_is_cancelled_before_it_starts_does_not_start(driver: Driver) -> None:
    driver.script('wait_for("go")')
    driver.start(1, "this")
    driver.forked.pass_on(("cancel", 1))
    driver.start(2, "other")
    driver.relay_until(lambda: 1 in driver.answers())
    assert driver.answers() == {1: ("result", "cancelled")}
    driver.let("go")
    assert driver.all_end()[2] == ("result", "passed")


@pytest.mark.parametrize(
    ("message", "outcome"), [(("cancel", 1), "cancelled"), (("spent", 1, "the money is spent"), "budget")]
)
def test_stopping_an_order_leaves_the_others_running(driver: Driver, message: tuple[Any, ...], outcome: str) -> None:
    driver.script('wait_for("go")')
    driver.start(1, "this")
    driver.start(2, "other")
    driver.relay_until(driver.has_begun("this", "other"))
    driver.forked.pass_on(message)
    driver.relay_until(driver.answers)
    assert driver.answers() == {1: ("result", outcome)}
    driver.let("go")
    assert driver.all_end()[2] == ("result", "passed")


def test_all_running_orders_are_stopped(driver: Driver) -> None:
    driver.script('wait_for("go")')
    for ticket, step in enumerate(("this", "other", "third"), 1):
        driver.start(ticket, step)
    driver.relay_until(driver.has_begun("this", "other", "third"))
    driver.forked.stop_all()
    assert {*driver.all_end().values()} == {("result", "cancelled")}


def test_process_that_does_not_answer_is_killed(driver: Driver) -> None:
    driver.script('wait_for("go")')
    driver.start(1, "this")
    driver.start(2, "other")
    driver.relay_until(driver.has_begun("this", "other"))
    agent = driver.agent("this")
    driver.process("this").suspend()
    driver.forked.pass_on(("cancel", 1))
    driver.relay_until(driver.answers)
    ((answer, why),) = driver.answers().values()
    assert answer == "lost"
    assert why.startswith("no sign of life")
    wait_until(lambda: is_gone(agent))
    driver.let("go")
    assert driver.all_end()[2] == ("result", "passed")


def test_process_without_memory_for_its_last_message_ends() -> None:
    code = """
import os, sys
from pytest_gump.executors.forked import _exit_after
class Full:
    def write(self, text): raise MemoryError
    flush = lambda self: self.write("")
sys.stdout = sys.stderr = Full()
try:
    _exit_after(lambda: 1 / 0)
except MemoryError:
    os._exit(77)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


def test_close_leaves_no_process(driver: Driver) -> None:
    driver.script("")
    for ticket, step in enumerate(("this", "other"), 1):
        driver.start(ticket, step)
    driver.all_end()
    family = psutil.Process().children(recursive=True)
    assert len(family) >= 4
    driver.forked.close()
    assert all(map(is_gone, family))


class RegisteringAgent(ScriptAgent):
    """Registers handlers and temporary files that its process cleans up at exit."""

    def __init__(self, script: str, folder: Path) -> None:
        super().__init__(script)
        self.folder = folder

    def command(self, task: Task) -> Command:
        atexit.register((self.folder / f"exit-{task.step}").touch)
        threading.Timer(0.5, (self.folder / f"thread-{task.step}").touch).start()
        self.kept = tempfile.TemporaryDirectory(dir=self.folder, prefix=f"temporary-{task.step}-")
        return super().command(task)


def test_process_runs_its_own_exit_handlers_and_not_those_of_the_worker(driver: Driver, tmp_path: Path) -> None:
    driver.script("")
    driver.kit.agent = RegisteringAgent(driver.kit.agent.script, driver.folder)
    of_worker = tmp_path / "of-worker"
    atexit.register(of_worker.touch)
    kept = tempfile.TemporaryDirectory(dir=tmp_path)
    driver.start(1, "this")
    assert driver.all_end() == {1: ("result", "passed")}
    assert [*driver.folder.glob("temporary-this-*")]
    driver.forked.close()
    atexit.unregister(of_worker.touch)
    assert (driver.folder / "exit-this").exists()
    assert (driver.folder / "thread-this").exists()
    assert not [*driver.folder.glob("temporary-this-*")]
    assert not of_worker.exists()
    assert os.path.isdir(kept.name)  # noqa: PTH112
    kept.cleanup()


class WritingAgent(ScriptAgent):
    """Writes into every open socket, or closes all of them."""

    def command(self, task: Task) -> Command:
        if task.step == "closes":
            os.closerange(3, 1 << 12)
        if task.step == "writes":
            for number in range(3, 1 << 8):
                with suppress(OSError):
                    if stat.S_ISSOCK(os.fstat(number).st_mode):
                        os.write(number, (8).to_bytes(8, "big") + b"no frame")
        return super().command(task)


@pytest.mark.parametrize("step", ["writes", "closes"])
def test_process_that_breaks_its_connection_loses_only_its_own_order(driver: Driver, step: str) -> None:
    driver.script('wait_for("go")')
    driver.kit.agent = WritingAgent(driver.kit.agent.script)
    driver.start(1, step)
    driver.start(2, "other")
    driver.relay_until(driver.answers)
    assert {ticket: answer for ticket, (answer, _why) in driver.answers().items()} == {1: "lost"}
    driver.let("go")
    assert driver.all_end()[2] == ("result", "passed")
