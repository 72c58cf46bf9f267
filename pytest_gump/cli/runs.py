"""The runs of a project, and the steps and attempts of a run, by the names that people type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gump.errors import ConfigError, RunError
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.folder import RunFolder
    from pytest_gump.engine.ledger import Ledger
    from pytest_gump.engine.metrics import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.system.worktree import Repository


def project_root() -> Path:
    """The checkout that the command was started in; outside of any, the current folder. As in a pytest session."""
    from pytest_gump.system.environment import checkout_around

    here = Path.cwd()
    return checkout_around(here) or here


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as its folder tells it."""

    folder: RunFolder
    header: dict[str, Any]
    record: RunRecord
    state: str
    """passed, failed, cancelled, running, interrupted."""

    @property
    def id(self) -> str:
        return self.folder.run_id

    def ledger(self) -> Ledger:
        """The ledger of a finished run, to append what a command does with it."""
        import time

        from pytest_gump.engine.ledger import Ledger

        return Ledger(self.folder.ledger, time.time)

    def repository(self) -> Repository:
        from pytest_gump.system.worktree import Repository

        return Repository.open(self.folder.path)


def read_run(folder: RunFolder, *, results: bool = True) -> KeptRun:
    """Read header and ledger of a run; without `results`, only what lists and sums need.

    Raises:
        RunError: they cannot be read.
    """
    from pytest_gump.engine.ledger import is_written, read_ledger
    from pytest_gump.engine.liveness import run_state
    from pytest_gump.engine.metrics import fold

    header = folder.read_header()
    try:
        record = fold(read_ledger(folder.ledger))
        if results:
            for one in record.attempts:
                _ = one.result  # what is wrong with it shows here
    except (KeyError, IndexError, TypeError, ValueError) as error:  # an event of another shape than we write
        raise RunError(f"cannot read the ledger {folder.ledger}: {type(error).__name__}: {error}") from error
    is_starting = not record.run_id and is_written(folder.ledger)
    record.run_id = record.run_id or folder.run_id
    return KeptRun(folder, header, record, "running" if is_starting else run_state(record))


def find(name: str | None) -> KeptRun:
    """Find a run by its id, its beginning or end; None is the newest.

    Raises:
        ConfigError: there is no run of that name, or more than one.
        RunError: there are no runs, or this one cannot be read.
    """
    from pytest_gump.engine.folder import find_run

    root = project_root()
    try:
        folder = find_run(root, name)
    except RunError as error:
        if name is None:
            raise
        raise ConfigError(str(error.args[0]), hint=error.hint) from error
    return read_run(folder)


def all_runs() -> Iterator[RunFolder]:
    from pytest_gump.engine.folder import run_folders

    return run_folders(project_root())


def find_step(run: KeptRun, name: str) -> StepRecord:
    """Find a step by its address (`build::impl[item-2]`) or the end of it (`impl[item-2]`, `impl`).

    Raises:
        ConfigError: there is no such step in the run, or more than one.
    """
    steps = run.record.steps
    if name in steps:
        return steps[name]
    matches = [step for path, step in steps.items() if _ends_in(path, name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(f"{name!r} may be any of {', '.join(step.path for step in matches)}")
    known = ", ".join(steps) or "none yet"
    raise ConfigError(f"run {run.id} has no step {name!r}", hint=f"its steps: {known}")


def _ends_in(path: str, name: str) -> bool:
    step = StepPath.parse(path)
    forms = {"::".join((*step.names[start:-1], tail)) for start in range(len(step.names)) for tail in _tails(step)}
    return name in forms


def _tails(step: StepPath) -> tuple[str, str]:
    return step.leaf, step.name


def find_attempt(step: StepRecord, number: int | None) -> AttemptRecord:
    """Find an attempt by its number; None is the newest.

    Raises:
        ConfigError: the step has no such attempt.
    """
    if not step.attempts:
        raise ConfigError(f"step {step.path} was never attempted", hint=step.reason or None)
    if number is None:
        return step.attempts[-1]
    found = [one for one in step.attempts if one.attempt == number]
    if not found:
        numbers = ", ".join(str(one.attempt) for one in step.attempts)
        raise ConfigError(f"step {step.path} has no attempt {number}", hint=f"it has {numbers}")
    return found[-1]
