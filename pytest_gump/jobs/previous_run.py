"""Find the earlier run for `--gump-resume`, `--gump-from`, and `--lf` with a workflow."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from pytest_gump.engine.record.run_folder import find_run, is_in_use, run_folders
from pytest_gump.errors import ConfigError, RunError, suggest
from pytest_gump.jobs.arguments import arguments
from pytest_gump.jobs.command_line import command_line, own_options
from pytest_gump.jobs.files import project_root
from pytest_gump.workflow.edit import leaves, select
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.workflow.model import Workflow

RESUME: Final = "--gump-resume"
FROM: Final = "--gump-from"
OF_NEW_RUNS: Final = ("gump_workflow", "gump_spec", "gump_base")
"""Options that cannot be combined with a resume, because their values come from the run."""
_NOTES: Final = pytest.StashKey[list[str]]()
_REPLAY: Final = ("gump_replay", "gump_replay_lenient", "gump_replay_delay")
_ENDED: Final = {"passed": "passed", "applied": "was applied", "discarded": "was discarded"}
_KEY: Final = pytest.StashKey["PreviousRun"]()


class PreviousRun(NamedTuple):
    """A run to resume, or to start a new run from."""

    run: StoredRun
    step: StepPath | None = None
    """First step of a new run; None if the run itself is resumed."""

    @property
    def options(self) -> dict[str, Any]:
        """Return the stored command-line options of its newest session.

        Raises:
            RunError: The stored options are invalid.
        """
        record = self.run.record
        stored = self.run.header.get("options") if record.options is None else record.options
        options = {} if stored is None else stored
        if not isinstance(options, dict) or not all(_is_option(name, value) for name, value in options.items()):
            raise RunError(
                f"the stored options of run {self.run.id} are invalid",
                hint="another program changed run.json or the ledger",
            )
        return options

    def selected(self, workflow: Workflow) -> Workflow:
        """Return the part of a workflow that the command line of the run selected."""
        paths = self.options.get("selected")
        if not paths:
            return workflow
        order = [path for path, _ in leaves(workflow.steps)]
        last = max((number for number, path in enumerate(order) if path in paths), default=len(order) - 1)
        return select(workflow, order[: last + 1])

    def refuse(self) -> None:
        """Refuse a run that cannot be resumed.

        Raises:
            RunError: The run passed, is running, or was applied or discarded.
        """
        run_id, record = self.run.id, self.run.record
        run = f"run {run_id}"
        if record.discarded:
            raise RunError(f"{run} was discarded and cannot be resumed", hint="start a new run")
        if self.run.state == "running" and record.pid is None:
            raise is_in_use(run_id)
        if self.run.state == "running":
            from pytest_gump.engine.record.liveness import process_text

            raise RunError(f"{run} is still running{process_text(record)}", hint="wait until it ends, or stop it first")
        if self.step is not None:
            return
        if record.applied is not None:
            raise RunError(f"{run} was applied and cannot be resumed", hint=f"{FROM}=STEP@{run_id} starts a new run")
        if self.run.state == "passed":
            raise RunError(
                f"{run} passed: there is nothing to resume",
                hint=f"gump apply {run_id} merges it; {FROM}=STEP@{run_id} starts a new run",
            )


def _is_option(name: str, value: object) -> bool:
    """True if a value of the stored options has the type that `stored_options` writes."""
    match name:
        case "agents" | "inputs" | "pause_after":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "selected":
            return value is None or _is_option("agents", value)
        case "spec" | "workflow":  # inside the project
            return value is None or (isinstance(value, str) and not {"..", "/"} & {*Path(value).parts})
        case "on_quota":
            return value is None or isinstance(value, str)
        case "max_budget":
            return value is None or isinstance(value, str | int | float)
        case "replay":
            return value is None or (
                isinstance(value, list) and [*map(type, value)][:2] == [str, bool] and len(value) == len(_REPLAY)
            )
        case _:
            return True


def adopt(config: pytest.Config) -> None:
    """Set spec, workflow and options from the run that `--gump-resume` or `--gump-from` names.

    Raises:
        GumpError: The run does not exist or cannot be resumed.
    """
    if not any(argument.partition("=")[0] in {RESUME, FROM} for argument in command_line(config)):
        return
    option = config.option
    _refuse_more(config)
    project = project_root(config)
    if option.gump_from is not None:
        step, _, name = option.gump_from.partition("@")
        run = _read(find_run(project, name or option.gump_resume or None))
        previous = PreviousRun(run, _step(step, run))
    else:
        previous = PreviousRun(_read(find_run(project, option.gump_resume or None)))
    previous.refuse()
    _take_options(config, previous, project)
    config.stash[_KEY] = previous


def _read(folder: RunFolder) -> StoredRun:
    from pytest_gump.engine.record.stored_run import StoredRun  # most runs are not resumed

    return StoredRun.read_unlocked(folder)


def _refuse_more(config: pytest.Config) -> None:
    name = FROM if config.option.gump_from is not None else RESUME
    given = [option for option in OF_NEW_RUNS if config.getoption(option)]
    more = [*(f"--{option.replace('_', '-')}" for option in given), *(argument.text for argument in arguments(config))]
    if more:
        raise ConfigError(
            f"{name} takes spec, workflow and base from the run: leave out {', '.join(more)}",
            hint="with a workflow and a spec, --lf resumes their last run if it did not pass",
        )


def _step(text: str, run: StoredRun) -> StepPath:
    prefix = f"{run.record.workflow}::"
    _, found, rest = text.rpartition(f"::{prefix}")  # a whole node id: spec.md::tdd::build::impl[item-2]
    path = rest if found else text.removeprefix(prefix)
    try:
        step = StepPath.parse(path)
    except ValueError as error:
        message = f"{FROM}: {text!r} is not the path of a step"
        raise ConfigError(message, hint="for example build::impl[item-2]") from error
    known = [*run.record.steps]
    if not any(step.contains(StepPath.parse(other)) for other in known):
        hint = suggest(path, known, f"its steps: {', '.join(known[:10]) or 'none'}")
        raise ConfigError(f"{FROM}: run {run.id} has no step {path!r}", hint=hint)
    return step


def _take_options(config: pytest.Config, previous: PreviousRun, project: Path) -> None:
    option, own, header = config.option, previous.options, previous.run.header
    spec = _present(project, header, "spec", "spec.md", previous)
    if header.get("source") == "built-in":
        workflow = str(header["workflow"])
    elif header.get("source") == "package":
        workflow = str(header["workflow_name"])
    else:
        workflow = str(_present(project, header, "workflow", "workflow.yaml", previous))
    if own.get("file") == "workflow":
        option.gump_spec, files = str(spec), [workflow]
    else:
        option.gump_workflow, files = [workflow], [str(spec)]
    config.args[:] = files
    config.args_source = pytest.Config.ArgsSource.ARGS
    option.gump_agent = [*own.get("agents", ()), *option.gump_agent]
    option.gump_input = [*own.get("inputs", ()), *option.gump_input]
    option.gump_pause_after = [*own.get("pause_after", ()), *option.gump_pause_after]
    option.gump_max_budget = option.gump_max_budget or own.get("max_budget")
    option.gump_on_quota = option.gump_on_quota or own.get("on_quota")
    if option.gump_replay is None and own.get("replay"):
        for name, value in zip(_REPLAY, own["replay"], strict=True):
            setattr(option, name, value)


def _present(project: Path, header: dict[str, Any], name: str, kept: str, previous: PreviousRun) -> Path:
    """Return the file with which the run was started. It may have been edited since.

    Raises:
        RunError: The file no longer exists.
    """
    named = str(header.get(f"{name}_path") or "")
    inside = previous.options.get(name)
    for path in (*([project / inside] if isinstance(inside, str) else []), Path(named)):
        if path.is_file():
            return path
    raise RunError(
        f"the {name} of run {previous.run.id} no longer exists: {named}",
        hint=f"restore it: cp {shlex.quote(str(previous.run.folder.path / kept))} {shlex.quote(named)}",
    )


def last_failed_notes(config: pytest.Config) -> Sequence[str]:
    """Return notes about runs that `--lf` does not resume."""
    return config.stash.get(_NOTES, ())


def find_previous_run(config: pytest.Config, spec: Path, workflow: str) -> PreviousRun | None:
    """Return the run to resume or to start a new run from; None if there is none.

    Raises:
        GumpError: The run cannot be resumed.
    """
    previous = config.stash.get(_KEY, None)
    if previous is None and getattr(own_options(config), "lf", False):
        return _last_failed(config, spec, workflow)
    return previous


def _last_failed(config: pytest.Config, spec: Path, workflow: str) -> PreviousRun | None:
    """Return the last run of a workflow on a spec if it can be resumed."""
    project = project_root(config)
    for folder in run_folders(project):
        header = folder.read_header()
        if _spec_of(header, project) == spec and header.get("workflow") == workflow:
            run = _read(folder)
            last, record = PreviousRun(run), run.record
            status = "discarded" if record.discarded else "applied" if record.applied else run.state
            if status not in _ENDED:
                last.refuse()
                return last
            text = f"--lf: the last run of {workflow} on {record.spec} {_ENDED[status]}, so a new run starts"
            config.stash.setdefault(_NOTES, []).append(text)
            return None
    return None


def _spec_of(header: dict[str, Any], project: Path) -> Path:
    """Return the spec of a run. The project may have moved since."""
    options = header.get("options")
    inside = options.get("spec") if isinstance(options, dict) else None
    return project / inside if isinstance(inside, str) else Path(str(header.get("spec_path")))
