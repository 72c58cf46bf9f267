"""The runs of a project, and the steps and attempts of a run, by the names that people type."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.errors import ConfigError, RunError
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.record.ledger import Ledger
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.system.git.repository import Repository


RESUMABLE: Final = {"interrupted", "failed", "cancelled"}


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

        from pytest_gump.engine.record.ledger import Ledger

        return Ledger(self.folder.ledger, time.time)

    def repository(self) -> Repository:
        from pytest_gump.system.git.repository import Repository

        return Repository.open(self.folder.path)


def read_run(folder: RunFolder, *, results: bool = True, ours: bool = False) -> KeptRun:
    """Read header and ledger of a run; without `results`, only what lists and sums need. `ours`: nobody else owns it.

    Raises:
        RunError: they cannot be read.
    """
    from pytest_gump.engine.record.ledger import is_written
    from pytest_gump.engine.record.liveness import is_alive, run_state
    from pytest_gump.engine.record.stored_run import read_record

    header = folder.read_header()
    record = read_record(folder.ledger, results=results)
    is_starting = not record.run_id and is_written(folder.ledger)
    record.run_id = record.run_id or folder.run_id
    state = run_state(record)
    is_taken_up = state in RESUMABLE and folder.is_owned and not is_alive(record.pid, record.pid_created)
    if not ours and (is_starting or is_taken_up):
        record.pid, state = None, "running"  # it has not booked so yet
    return KeptRun(folder, header, record, state)


@contextmanager
def held(run: KeptRun) -> Iterator[KeptRun]:
    """The run as it is now, while no session takes it up and no other command changes it; a running one as it was.

    Raises:
        RunError: another process works on it, or it cannot be read any more.
    """
    if run.state == "running":
        yield run
        return
    with run.folder.owned():
        yield read_run(run.folder, ours=True)


def find(name: str | None) -> KeptRun:
    """Find a run by its id, its beginning or end; None is the newest.

    Raises:
        ConfigError: there is no run of that name, or more than one.
        RunError: there are no runs, or this one cannot be read.
    """
    from pytest_gump.engine.record.run_folder import find_run

    root = project_root()
    try:
        folder = find_run(root, name)
    except RunError as error:
        if name is None:
            raise
        raise ConfigError(str(error.args[0]), hint=error.hint) from error
    return read_run(folder)


def all_runs() -> Iterator[RunFolder]:
    from pytest_gump.engine.record.run_folder import run_folders

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
