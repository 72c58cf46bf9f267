"""`gump log`: show the prompt, agent activity and gate output of an attempt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command
from pytest_gump.cli.log.follow import files_of_running, follow, mask_secrets, running_attempt
from pytest_gump.cli.log.stream import read_stream
from pytest_gump.cli.runs import find, find_attempt, find_step
from pytest_gump.engine.reporting.approval_text import handed_over
from pytest_gump.errors import ConfigError, GumpError
from pytest_gump.system.processes.output import bounded_output
from pytest_gump.units import format_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.records import AttemptRecord, StepRecord
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult

OUTPUT_CHARS = 20_000


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "log",
        description="Show an attempt of a step: the prompt, the agent's activity, and the gates with their output.",
        examples="  gump log decompose\n"
        "  gump log 'build::impl[item-2]'\n"
        "  gump log 7f3a impl[item-2] --attempt 3\n"
        "  gump log impl[item-2] --no-prompt\n"
        "  gump log -f                              the running attempt, until it ends",
        execute=execute,
        usage="gump log [RUN] STEP [--attempt N] [--all] [--no-prompt] [--follow]",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="RUN STEP",
        help="a step of the newest run, or a run and its step; the start or end of a run id and the end of a step "
        "(impl[item-2]) are enough",
    )
    parser.add_argument("--attempt", type=int, metavar="N", help="show attempt N (default: the last)")
    parser.add_argument("--all", action="store_true", help="show all attempts, oldest first")
    parser.add_argument("--no-prompt", action="store_true", help="omit the prompt")
    parser.add_argument(
        "-f", "--follow", action="store_true",
        help="follow a running attempt until it ends; without STEP, the attempt that started last",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, out: Out) -> int:
    if arguments.follow:
        return _follow(arguments, out)
    run, step = _run_and_step(arguments.names)
    attempt = find_attempt(step, arguments.attempt)
    shown = step.attempts if arguments.all else [attempt]
    for number, other in enumerate(shown):
        if number:
            out.line()
        _attempt(other, len(step.attempts), run, out, prompt=not arguments.no_prompt)
    return 0


def _follow(arguments: argparse.Namespace, out: Out) -> int:
    if arguments.all or arguments.attempt is not None:
        raise ConfigError("--follow cannot be combined with --all or --attempt")
    names = arguments.names
    if not names or (len(names) == 1 and _is_run(names[0])):
        run = find(names[0] if names else None)
        attempt = running_attempt(run)
    else:
        run, step = _run_and_step(names)
        attempt = step.attempts[-1]
    if attempt.usage is not None or run.state != "running":
        _attempt(attempt, len(run.record.steps[attempt.step].attempts), run, out, prompt=not arguments.no_prompt)
        return 0
    _title(attempt, attempt.attempt, "running", out)
    folder = files_of_running(run, attempt)
    if folder is not None and not arguments.no_prompt:
        _file(folder / "prompt.md", "prompt", out, mask_secrets())
    out.heading("agent activity")
    now = follow(run, attempt, out)
    ended = now.record.attempts[attempt.number - 1]
    if ended.result is not None:
        _gates(ended.result, now.folder.attempts / ended.folder if ended.folder else None, out)
        _files(ended.result, out)
    out.line()
    _attempt_title(ended, len(now.record.steps[ended.step].attempts), out)
    return 0


def _run_and_step(names: list[str]) -> tuple[StoredRun, StepRecord]:
    """Parse `[RUN] STEP`. A single name is a step of the newest run if one matches.

    Raises:
        ConfigError: No step matches, or none is named. The hint lists the steps.
    """
    run = find(names[0] if len(names) > 1 else None)
    if names and len(names) < 3:
        try:
            return run, find_step(run, names[-1])
        except ConfigError:
            if len(names) > 1 or not _is_run(names[0]):
                raise
            run = find(names[0])
    steps = ", ".join(run.record.steps) or "none yet"
    raise ConfigError(f"gump log needs a step of run {run.id}", hint=f"its steps: {steps}")


def _is_run(name: str) -> bool:
    try:
        return bool(find(name))
    except GumpError:
        return False


def _attempt_title(attempt: AttemptRecord, count: int, out: Out) -> None:
    result = attempt.result
    waits = "awaiting" if attempt.verdict == "awaiting" else ""
    _title(attempt, count, waits or (result.outcome if result else "not ended"), out)
    if result is not None and result.reason:
        out.text(result.reason, indent="  ")


def _title(attempt: AttemptRecord, count: int, outcome: str, out: Out) -> None:
    colour = "green" if attempt.verdict == "passed" else "red" if attempt.usage is not None else "bold"
    total = f" of {count}" if count > 1 else ""
    without_agent = "approval" if attempt.mode == "approve" else "gates only"
    who = f"{attempt.agent}, {attempt.mode}" if attempt.agent else without_agent
    out.line(f"{attempt.step} attempt {attempt.attempt}{total}, {who}: {outcome}", colour)


def _attempt(attempt: AttemptRecord, count: int, run: StoredRun, out: Out, *, prompt: bool) -> None:
    _attempt_title(attempt, count, out)
    result = attempt.result
    if attempt.superseded:
        out.line("  superseded: the run was resumed, and the step runs again")
    folder = run.folder.attempts / attempt.folder if attempt.folder else None
    if attempt.usage is None and run.state == "running":
        folder = files_of_running(run, attempt)
    if attempt.reused:
        names = f"{run.record.origin} '{attempt.step}' --attempt {attempt.attempt}"
        out.line(f"  reused from another run, which has its files: gump log {names}")
    elif folder is None or not folder.is_dir():
        out.line("  this attempt has no stored files")
    else:
        clean = mask_secrets() if attempt.usage is None else str
        if prompt:
            _file(folder / "prompt.md", "prompt", out, clean)
        if attempt.agent is not None:
            _work(attempt, folder, out, clean)
        _file(folder / "stderr.txt", "stderr", out, clean)
    if result is not None:
        if lines := [*handed_over(result)]:
            out.heading("result")
            out.text("\n".join(lines), indent="  ")
        _gates(result, folder, out)
        _files(result, out)


def _file(path: Path, title: str, out: Out, clean: Callable[[str], str]) -> None:
    if path.is_file() and path.stat().st_size:
        out.heading(f"{title} ({path})")
        out.text(clean(bounded_output(path, OUTPUT_CHARS)), indent="  ")


def _work(attempt: AttemptRecord, folder: Path, out: Out, clean: Callable[[str], str]) -> None:
    lines = read_stream(attempt, folder, arrow=out.marks.arrow)
    if lines is not None:
        out.heading(f"agent activity ({folder / 'stream.ndjson'})")
        for line in lines:
            out.text(clean(line), indent="  ")


def _gates(result: AttemptResult, folder: Path | None, out: Out) -> None:
    if not result.gates:
        return
    out.heading("gates")
    marks = {"passed": out.marks.passed, "skipped": out.marks.skipped}
    colours = {"passed": "green", "skipped": "yellow"}
    for gate in result.gates:
        summary = f": {gate.summary}" if gate.summary else ""
        mark, colour = marks.get(gate.status, out.marks.failed), colours.get(gate.status, "red")
        out.line(f"{mark} {gate.name} {gate.status}{summary} ({format_duration(gate.duration_s)})", colour)
        if gate.command:
            code = "" if gate.exit_code is None else f"   (exit code {gate.exit_code})"
            out.text(f"$ {gate.command}{code}", indent="    ")
        out_text = _output(gate, folder)
        if out_text:
            out.text(out_text, indent="    ")


def _output(gate: GateResult, folder: Path | None) -> str:
    if folder is not None and gate.output_file:
        path = folder / "gates" / Path(gate.output_file).name
        if path.is_file():
            return bounded_output(path, OUTPUT_CHARS)
    return gate.output


def _files(result: AttemptResult, out: Out) -> None:
    if result.changed:
        out.heading("files changed since the start of the step")
        rows = [
            (
                f"  {change.status}",
                change.path,
                "binary" if change.added is None else f"+{change.added} -{change.removed}",
            )
            for change in result.changed
        ]
        out.table(("  change", "file", "lines"), rows)
    for note in result.notes:
        out.text(f"note: {note}")
