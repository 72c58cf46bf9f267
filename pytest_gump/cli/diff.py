"""`gump diff`: show the changes of a run or a step."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command
from pytest_gump.cli.runs import find, find_attempt, find_step
from pytest_gump.engine.reporting.approval_text import visible_diff
from pytest_gump.engine.run.run_branch import refuse_lost
from pytest_gump.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.system.git.repository import Repository


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "diff",
        description="Show the changes of a run since its base, or the changes of a step since its start, from its last "
        "attempt or attempt N. In a pipe or a file, the output is a patch for `git apply`.",
        examples="  gump diff\n"
        "  gump diff 7f3a --stat\n"
        "  gump diff 'build::impl[item-2]'\n"
        "  gump diff 7f3a impl[item-2] --attempt 3",
        execute=execute,
        usage="gump diff [RUN] [STEP] [--attempt N] [--stat]",
    )
    parser.add_argument(
        "names", nargs="*", metavar="RUN STEP", help="a run, a step of the newest run, or a run and its step"
    )
    parser.add_argument("--attempt", type=int, metavar="N", help="show attempt N of the step (default: the last)")
    parser.add_argument("--stat", action="store_true", help="show only file names and line counts")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    run, step = run_and_step(arguments.names)
    repository = run.repository()
    old, new = _commits(run, step, arguments.attempt)
    refuse_lost(repository, run.id, old, new)
    if arguments.stat:
        _show_names(repository, old, new, out)
    else:
        _show_patch(repository, old, new, out)
    return 0


def run_and_step(names: list[str]) -> tuple[StoredRun, str | None]:
    """Parse `[RUN] [STEP]`. A single name is a run if one matches, otherwise a step of the newest run.

    Raises:
        ConfigError: There are more than two names, or no run or step matches.
    """
    if len(names) > 2:
        raise ConfigError(f"expected at most a run and a step, not {' '.join(names)!r}")
    if len(names) == 2:
        return find(names[0]), names[1]
    if not names:
        return find(None), None
    try:
        return find(names[0]), None
    except ConfigError as error:
        newest = find(None)
        if "::" in names[0] or any(names[0] in path for path in newest.record.steps):
            return newest, names[0]
        raise ConfigError(
            f"{names[0]!r} is neither a run nor a step of the newest run {newest.id}",
            hint=f"its steps: {', '.join(newest.record.steps) or 'none yet'}; gump status lists the runs",
        ) from error


def _commits(run: StoredRun, name: str | None, number: int | None) -> tuple[str, str]:
    if name is None:
        if number is not None:
            raise ConfigError("--attempt needs a step", hint="gump diff STEP --attempt N")
        return run.record.base, run.record.head
    step, record = find_step(run, name), run.record
    asked = next((each for each in record.open_questions if each.about == step.path and number is None), None)
    attempt = find_attempt(step, number)
    if (question := asked or record.approvals.questions.get(attempt.number)) is not None:
        return question.base, question.commit
    if attempt.result is None:
        raise ConfigError(
            f"attempt {attempt.attempt} of {attempt.step} has not ended",
            hint="gump log --follow shows it; --attempt N shows an earlier attempt",
        )
    return attempt.step_base, attempt.result.snapshot or attempt.step_base


def _show_names(repository: Repository, old: str, new: str, out: Out) -> None:
    changes = repository.changed(old, new)
    rows = [
        (
            change.status,
            change.path,
            "binary" if change.added is None else f"+{change.added}",
            f"-{change.removed}" if change.removed else "",
        )
        for change in changes
    ]
    if rows:
        out.table(("change", "file", "added", "removed"), rows, right=("added", "removed"))
    else:
        out.line("no files changed")


def _show_patch(repository: Repository, old: str, new: str, out: Out) -> None:
    """Write the patch: with escapes for control characters on a terminal, otherwise byte for byte."""
    buffer = getattr(sys.stdout, "buffer", None)
    if out.is_terminal or buffer is None:
        for line in visible_diff(repository, old, new):
            out.text(line, colour=_colour(line))
        return
    with tempfile.TemporaryDirectory(prefix="gump-diff-") as folder:
        patch = Path(folder, "diff.patch")
        repository.diff(old, new, patch)
        sys.stdout.flush()
        with patch.open("rb") as source:
            shutil.copyfileobj(source, buffer)
        buffer.flush()


def _colour(line: str) -> str:
    if line.startswith(("+++", "---", "diff ", "index ")):
        return "bold"
    return {"+": "green", "-": "red", "@": "yellow"}.get(line[:1], "")
