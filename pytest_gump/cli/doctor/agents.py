"""`gump doctor`: installation, version and login of the agent CLIs."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.agents import registry
from pytest_gump.agents.base import Task
from pytest_gump.agents.family import FAMILIES
from pytest_gump.agents.program import read_version
from pytest_gump.errors import AgentError
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.output import bounded_output
from pytest_gump.system.processes.process import Request
from pytest_gump.text import last_line, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.agents.base import Agent, Ending
    from pytest_gump.agents.program import Program, Standing
    from pytest_gump.system.processes.process import Exit, Supervisor

VERSION_TIMEOUT_S: Final = 20.0
LIVE_TIMEOUT_S: Final = 90.0
LIVE_PROMPT: Final = "Reply with the one word: ready. Do not use any tool.\n"


@dataclass(frozen=True, slots=True)
class CliState:
    """A CLI on this machine."""

    cli: str
    title: str
    installed: bool
    path: str | None = None
    version: str | None = None
    tested: str | None = None
    """Tested version and date: `2.1.330 on 2026-11-22`; None if the adapter was never tested with the CLI."""
    standing: Standing | None = None
    """None if the CLI is not installed."""
    login: str | None = None
    """Location of a key or credentials, valid or not; None if not checked."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LiveCall:
    """Result of one small request through the adapter."""

    agent: str
    ok: bool
    message: str
    """The answer or the error."""
    model: str | None = None
    cost_usd: float | None = None
    provenance: str = "unknown"
    duration_s: float = 0.0


def look_at(cli: str, supervisor: Supervisor) -> CliState:
    """Return the state of a CLI. Only `--version` is executed, and if the CLI has a sandbox, `true` in the sandbox."""
    program = FAMILIES[cli].program
    tested = None if program.tested is None else f"{program.tested} on {program.tested.on}"
    path = shutil.which(program.name)
    if path is None:
        return CliState(cli, program.title, installed=False, tested=tested, problem=program.missing())
    version, problem = _version(cli, program, supervisor)
    standing = program.standing(version)
    if standing in {"tested", "newer"}:
        problem = _sandbox_problem(cli, program, supervisor)
    return CliState(
        cli=cli,
        title=program.title,
        installed=True,
        path=path,
        version=version,
        tested=tested,
        standing=standing,
        login=program.login.found(),
        problem=problem,
    )


def _version(cli: str, program: Program, supervisor: Supervisor) -> tuple[str | None, str | None]:
    """Return version and problem; one of them is None."""
    finished, output = _run(cli, program, ("--version",), supervisor)
    if not finished.succeeded:
        return None, f"{program.name} --version: {_failure(finished, output)}"
    version = read_version(output)
    return version, None if version else f"{program.name} --version prints no version: {last_line(output)}"


def _sandbox_problem(cli: str, program: Program, supervisor: Supervisor) -> str | None:
    """Return why no command of the model can run; None if the sandbox works or the CLI has none."""
    if program.sandbox is None:
        return None
    finished, output = _run(cli, program, program.sandbox.probe, supervisor)
    if finished.succeeded:
        return None
    shown = " ".join((program.name, *program.sandbox.probe))
    return f"its commands cannot run: {shown}: {_failure(finished, output)}. {program.sandbox.needs}"


def _run(cli: str, program: Program, arguments: tuple[str, ...], supervisor: Supervisor) -> tuple[Exit, str]:
    """Run the CLI with the environment of an attempt. Return its end and its output."""
    with tempfile.TemporaryDirectory(prefix="gump-doctor-") as folder:
        worktree = Path(folder)
        request = Request(
            argv=(program.name, *arguments),
            cwd=worktree,
            env=environment_of(registry.resolve(cli), worktree),
            mark=f"doctor-{cli}",
            stdout=worktree / "output.txt",
        )
        return supervisor.run(request, timeout_s=VERSION_TIMEOUT_S), bounded_output(worktree / "output.txt", 2000)


def _failure(finished: Exit, output: str) -> str:
    said = f": {last_line(output)}" if last_line(output) else ""
    return f"{_why(finished, VERSION_TIMEOUT_S)}{said}"


def call_live(agent: Agent, supervisor: Supervisor, passed: Sequence[str]) -> LiveCall:
    """Send one small request, which can cost a fraction of a cent. `passed` are the names of `gump_agent_env`."""
    missing = agent.missing()
    if missing is not None:
        return LiveCall(agent.name, ok=False, message=missing)
    with tempfile.TemporaryDirectory(prefix="gump-doctor-") as folder:
        try:
            ending, finished = _call(agent, Path(folder), supervisor, passed)
        except AgentError as error:
            return LiveCall(agent.name, ok=False, message=str(error.args[0]))
    why = _why(finished, LIVE_TIMEOUT_S) if finished.stopped or finished.error else ending.reason
    ok = ending.outcome == "ok" and finished.stopped is None
    answer = one_line(ending.message if ok else why or "it failed without a message")
    usage = ending.usage
    return LiveCall(agent.name, ok, answer, ending.model, usage.cost_usd, usage.provenance, finished.duration_s)


def _call(agent: Agent, folder: Path, supervisor: Supervisor, passed: Sequence[str]) -> tuple[Ending, Exit]:
    worktree = folder / "worktree"
    worktree.mkdir()
    task = _task(agent.name, worktree)
    reader = agent.reader(task)
    command = agent.command(task)

    def on_line(line: bytes) -> None:
        tuple(reader.feed(line))

    request = Request(
        argv=command.argv,
        cwd=worktree,
        env=child_environment((*command.env_names, *passed), command.env),
        mark=f"doctor-{agent.name}",
        stdout=folder / "stream.ndjson",
        stderr=folder / "stderr.txt",
        stdin=command.stdin,
    )
    finished = supervisor.run(request, timeout_s=LIVE_TIMEOUT_S, on_line=on_line)
    stderr = bounded_output(folder / "stderr.txt", 20_000) if (folder / "stderr.txt").exists() else ""
    code = finished.exit_code if finished.signal is None else -finished.signal
    return reader.finish(exit_code=code, stderr=stderr, stopped=finished.stopped is not None), finished


def _task(name: str, worktree: Path) -> Task:
    """Return a task that needs one answer and no changes."""
    return Task(
        step="doctor",
        item=None,
        attempt=1,
        agent=name,
        prompt=LIVE_PROMPT,
        worktree=worktree,
        mode="artifact",
        max_turns=1,
    )


def environment_of(agent: Agent, worktree: Path) -> dict[str, str]:
    """Return the environment of an agent in an attempt, without the names of `gump_agent_env`."""
    command = agent.command(_task(agent.name, worktree))
    return child_environment(command.env_names, command.env)


def _why(finished: Exit, timeout_s: float) -> str:
    if finished.error is not None:
        return finished.error
    if finished.stopped is not None:
        return f"timed out after {timeout_s:.0f}s"
    return f"ended by signal {finished.signal}" if finished.signal is not None else f"exit code {finished.exit_code}"
