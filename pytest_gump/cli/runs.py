"""Find runs, steps and attempts by the names on the command line."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.engine.record.run_folder import find_run, run_folders
from pytest_gump.engine.record.stored_run import StoredRun
from pytest_gump.errors import ConfigError, RunError
from pytest_gump.system.environment import checkout_around
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.engine.record.records import AttemptRecord, StepRecord
    from pytest_gump.engine.record.run_folder import RunFolder


def project_root() -> Path:
    """Return the checkout that contains the current folder, or the current folder if there is no checkout."""
    here = Path.cwd()
    return checkout_around(here) or here


@contextmanager
def locked(run: StoredRun) -> Iterator[StoredRun]:
    """Lock a run against sessions and other commands, and yield it as it is now. A running run is not locked.

    Raises:
        RunError: Another process has locked the run, or it can no longer be read.
    """
    if run.state == "running":
        yield run
        return
    with run.folder.owned():
        yield StoredRun.read(run.folder, ours=True)


def find(name: str | None) -> StoredRun:
    """Find a run by its id, or by the start or end of it. None is the newest run.

    Raises:
        ConfigError: No run or more than one matches.
        RunError: There are no runs, or the run cannot be read.
    """
    root = project_root()
    try:
        folder = find_run(root, name)
    except RunError as error:
        if name is None:
            raise
        raise ConfigError(str(error.args[0]), hint=error.hint) from error
    return StoredRun.read(folder)


def all_runs() -> Iterator[RunFolder]:
    return run_folders(project_root())


@dataclass(frozen=True, slots=True)
class Unreadable:
    id: str
    problem: str


def read_runs(folders: Iterable[RunFolder], *, results: bool = False) -> Iterator[StoredRun | Unreadable]:
    """Yield the runs of the folders. Skip runs that are removed meanwhile, for example by `gump gc`."""
    for folder in folders:
        try:
            yield StoredRun.read(folder, results=results)
        except RunError as error:
            if folder.path.exists():
                yield Unreadable(folder.run_id, str(error))


def find_step(run: StoredRun, name: str) -> StepRecord:
    """Find a step by its path (`build::impl[item-2]`) or the end of it (`impl[item-2]`, `impl`).

    Raises:
        ConfigError: No step or more than one matches.
    """
    steps = run.record.steps
    if name in steps:
        return steps[name]
    matches = [step for path, step in steps.items() if is_named(path, name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(
            f"{name!r} matches several steps: {', '.join(step.path for step in matches)}",
            hint="write a whole path, or an end of it that no other step has",
        )
    known = ", ".join(steps) or "none yet"
    raise ConfigError(f"run {run.id} has no step {name!r}", hint=f"its steps: {known}")


def is_named(path: str, name: str) -> bool:
    """True if the name is the path of a step or an end of it, with or without plan items."""
    step = StepPath.parse(path)
    forms = {"::".join((*step.names[start:-1], tail)) for start in range(len(step.names)) for tail in _tails(step)}
    return name in forms


def _tails(step: StepPath) -> tuple[str, str]:
    return step.leaf, step.name


def find_attempt(step: StepRecord, number: int | None) -> AttemptRecord:
    """Find an attempt by its number. None is the newest attempt.

    Raises:
        ConfigError: The step has no such attempt.
    """
    if not step.attempts:
        raise ConfigError(f"step {step.path} has no attempts", hint=step.reason or None)
    if number is None:
        return step.attempts[-1]
    found = [attempt for attempt in step.attempts if attempt.attempt == number]
    if not found:
        numbers = ", ".join(str(attempt.attempt) for attempt in step.attempts)
        raise ConfigError(f"step {step.path} has no attempt {number}", hint=f"its attempts: {numbers}")
    return found[-1]
