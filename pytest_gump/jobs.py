"""Jobs: what the command line asks for, read and checked before anything starts."""

from __future__ import annotations

import gc
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump.agents import registry
from pytest_gump.agents.cassette import Cassette
from pytest_gump.agents.replay import ReplayAgent
from pytest_gump.engine.overrides import agents_of, agents_of_step, leaves, override_agents, walk
from pytest_gump.engine.settings import load_gump_toml, read_settings
from pytest_gump.errors import AgentError, ConfigError
from pytest_gump.system.environment import checkout_around, home
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES, find_workflow, workflow_file
from pytest_gump.workflow.load import load_workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_gump.agents.base import Agent
    from pytest_gump.earlier import Earlier
    from pytest_gump.engine.order import AttemptResult, Order
    from pytest_gump.workflow.find import Found
    from pytest_gump.workflow.load import Loaded
    from pytest_gump.workflow.model import Workflow

MAX_SPEC_BYTES = 16 * 1024 * 1024
LARGE = 100_000
"""Objects made while collecting from which on a session is large."""


@dataclass(frozen=True, slots=True)
class Replay:
    """`--gump-replay` and its companions."""

    cassette: Cassette
    lenient: bool
    delay: float


def find_agent(name: str, agents: Mapping[str, Agent | str], replay: Replay | None) -> Agent:
    """The adapter of an agent name, or the replay agent in its place.

    Raises:
        AgentError: the name is not known.
    """
    if replay is None:
        return registry.resolve(name, agents)
    cli = replay.cassette.cli_of(name) or registry.cli_of(name, agents) or "replay"
    live = registry.find(name, agents)
    return ReplayAgent(replay.cassette, name, cli, lenient=replay.lenient, delay=replay.delay, live=live)


@dataclass(slots=True)
class Job:
    """One workflow on one spec. Becomes one run."""

    file: Path
    """The file that the node id begins with: the spec, or the workflow file."""
    spec: Path
    spec_bytes: bytes
    loaded: Loaded
    workflow: Workflow
    """After the overrides of the command line."""
    inputs: Mapping[str, str]
    gates: Mapping[str, Callable[[Any], None]]
    agents: Mapping[str, Agent | str]
    replay: Replay | None
    earlier: Earlier | None = None
    """The run that goes on, or from which a new one begins."""
    runner: Callable[[Order], AttemptResult] | None = field(default=None, repr=False)
    """Carries out orders; set while the job's run lives."""

    def agent(self, name: str) -> Agent:
        """The adapter of an agent name, or the replay agent in its place.

        Raises:
            AgentError: the name is not known.
        """
        return find_agent(name, self.agents, self.replay)

    def cli_of(self, name: str) -> str:
        return self.agent(name).cli

    def describe_agent(self, name: str) -> str:
        """What the name stands for: program, model, and the words of `gump_agents`."""
        agent = registry.find(name, self.agents) or self.agent(name)
        words = self.agents.get(name)
        return f"{agent.cli} {getattr(agent, 'model', None) or ''} {words if isinstance(words, str) else ''}".strip()

    def missing_agents(self) -> Iterator[str]:
        """Why agents cannot start here, each with the steps that need it."""
        needed: dict[str, list[str]] = {}
        for path, step in leaves(self.workflow.steps):
            for name in agents_of_step(step):
                reason = self.agent(name).missing()
                if reason is not None and path not in needed.setdefault(reason, []):
                    needed[reason].append(path)
        for reason, paths in needed.items():
            yield f"{reason} (needed by {', '.join(paths)})"

    def refuse_unknown_cost(self, *more: str) -> None:
        """Refuse dollars as a limit where nobody knows what an agent costs; `more` are agents besides the workflow's.

        Raises:
            ConfigError: there is a max_budget somewhere, and an agent that reports no cost.
        """
        limited = self.workflow.max_budget is not None or any(
            step.max_budget is not None or step.guard.max_budget is not None for step in walk(self.workflow.steps)
        )
        unknown = sorted({name for name in (*agents_of(self.workflow), *more) if self.agent(name).cost == "unknown"})
        if limited and unknown:
            raise ConfigError(
                f"max_budget cannot be held: the cost of {', '.join(unknown)} is unknown",
                hint="take max_budget out, or set gump_unknown_cost = allow: it then counts as nothing",
            )


def project_root(config: pytest.Config) -> Path:
    """The checkout that the session was started in; outside of any, pytest's rootdir."""
    return checkout_around(config.invocation_params.dir) or config.rootpath


def prepare_jobs(session: pytest.Session, project: Path) -> list[Job]:
    """Read every spec and workflow that the command line names.

    Raises:
        GumpError: the first thing that is wrong; nothing was started.
    """
    return list(_jobs(session.config, project, hook_answers(session)))


@contextmanager
def no_garbage() -> Iterator[None]:
    """Collect without looking for garbage: what is made stays for the whole session.

    A thousand workflows are a million objects, and each look at all of them costs half a second; so those of a large
    session are never looked at again. A small one is left as it was: it may be one of many in its process.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        if gc.get_count()[0] > LARGE:
            gc.freeze()


def hook_answers(session: pytest.Session) -> Callable[[Path, str], dict[str, Any]]:
    """Ask a hook of ours that gives things by name, once: the answers of all that hold for a path, merged."""

    @cache
    def collect(path: Path, name: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for answer in getattr(session.gethookproxy(path), name)():
            merged.update(answer or {})
        return merged

    return collect


def _jobs(config: pytest.Config, project: Path, hooks: Callable[[Path, str], dict[str, Any]]) -> Iterator[Job]:
    replay = _replay(config)
    own = _own_agents(config, project, replayed=replay is not None)
    read_spec = cache(_read_spec)
    for file, spec, found in job_files(config, project):
        _refuse_odd_name(file, config.rootpath)
        _load_conftests(config, spec)
        gates, agents = hooks(spec, "pytest_gump_gates"), {**own, **hooks(spec, "pytest_gump_agents")}
        loaded = load_workflow(
            found,
            gates=tuple(gates),
            agents=lambda name, agents=agents: registry.problem(name, agents, replayed=replay is not None),  # type: ignore[misc]
            same_cli=lambda one, other, agents=agents: registry.same_cli(one, other, agents),  # type: ignore[misc]
            project=project,
        )
        workflow = _override(config, loaded.workflow, agents, replayed=replay is not None)
        inputs = _inputs(config, workflow)
        yield Job(file, spec, read_spec(spec), loaded, workflow, inputs, gates, agents, replay)


def _load_conftests(config: pytest.Config, spec: Path) -> None:
    """Read the conftests around the spec. pytest has read those of its arguments, and a run that is resumed has none.

    Raises:
        ConfigError: one cannot be imported.
    """
    from _pytest.config import ConftestImportFailure

    load: Any = getattr(config.pluginmanager, "_loadconftestmodules", None)  # private; tests/session/test_resume.py
    if load is None:
        return
    namespaces = config.getini("consider_namespace_packages")
    try:
        load(spec, config.getoption("importmode"), config.rootpath, consider_namespace_packages=namespaces)
    except ConftestImportFailure as error:
        raise ConfigError(f"{error.path}: cannot be imported: {error.cause}") from error


def _own_agents(config: pytest.Config, project: Path, *, replayed: bool) -> dict[str, str]:
    """The names that `gump_agents` gives."""
    settings, _ = read_settings(config.getini, load_gump_toml(project))
    own = settings.agent_names
    for name in own:
        problem = registry.problem(name, own, replayed=replayed)
        if problem is not None:
            raise AgentError(f"gump_agents: {problem}")
    return own


def job_files(config: pytest.Config, project: Path) -> Iterator[tuple[Path, Path, Found]]:
    """Node file, spec and workflow of every job, in the order of the command line."""
    named = [str(name) for name in config.getoption("gump_workflow") or ()]
    given = config.getoption("gump_spec")
    spec_option = Path(config.invocation_params.dir, given) if given else None
    used = False
    for path in _argument_files(config):
        if path.suffix in WORKFLOW_SUFFIXES and spec_option is not None:
            used = True
            yield path, spec_option, workflow_file(path)
        elif is_spec(path) and named:
            for name in named:
                yield path, path, _find(name, config, project)
    if spec_option is not None and named and not used:
        for name in named:
            yield spec_option, spec_option, _find(name, config, project)


def _find(name: str, config: pytest.Config, project: Path) -> Found:
    if name.endswith(WORKFLOW_SUFFIXES):
        from_here = Path(config.invocation_params.dir, name)
        return find_workflow(str(from_here if from_here.exists() else name), project, home())
    return find_workflow(name, project, home())


def is_spec(path: Path) -> bool:
    """Anything that is neither Python nor a workflow may be a spec, if it is named itself."""
    return path.suffix not in {".py", *WORKFLOW_SUFFIXES}


def _argument_files(config: pytest.Config) -> Iterator[Path]:
    """The files among the arguments, each once; a missing spec is an error of ours, with a hint."""
    seen: set[Path] = set()
    for word in config.args if config.args_source is pytest.Config.ArgsSource.ARGS else ():
        text = str(word).partition("::")[0]
        path = Path(os.path.abspath(Path(config.invocation_params.dir, text)))  # noqa: PTH100 - symlinks stay as named
        if path not in seen and path.is_file():
            seen.add(path)
            yield path


def no_spec(config: pytest.Config) -> ConfigError:
    """What to say when a workflow was named and no argument is a spec: most often its name is mistyped."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        for word in map(str, config.args):
            if not Path(config.invocation_params.dir, word.partition("::")[0]).exists():
                hint = "what follows :: selects a step" if "::" in word else None
                return ConfigError(f"the spec {word} does not exist", hint=hint)
    return ConfigError(
        "--gump-workflow names a workflow, but no spec is among the arguments",
        hint="pytest --gump-workflow=tdd spec.md",
    )


def _read_spec(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"the spec {path} is not a regular file")
        if status.st_size > MAX_SPEC_BYTES:
            raise ConfigError(f"the spec {path} has {status.st_size} bytes; at most {MAX_SPEC_BYTES} are read")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot read the spec {path}: {why}") from error
    if not data.strip():
        raise ConfigError(f"the spec {path} is empty", hint="write what is to be built")
    return data


def _refuse_odd_name(file: Path, rootpath: Path) -> None:
    """Refuse what pytest cannot write down as a node id: it would break when the session is over."""
    name = os.path.relpath(file, rootpath)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the name of {name!a} is not text in this locale",
            hint="rename it, or use a locale with UTF-8: LC_ALL=C.UTF-8",
        ) from None


def _override(
    config: pytest.Config, workflow: Workflow, agents: Mapping[str, Agent | str], *, replayed: bool
) -> Workflow:
    words = [str(word) for word in config.getoption("gump_agent")]
    for word in words:
        problem = registry.problem(word.rpartition("=")[2], agents, replayed=replayed)
        if problem is not None:
            raise AgentError(f"--gump-agent: {problem}")
    workflow = override_agents(workflow, words) if words else workflow
    budget = config.getoption("gump_max_budget")
    if budget is None:
        return workflow
    try:
        usd = float(budget)
    except ValueError:
        usd = 0.0
    if not 0 < usd < float("inf"):
        raise ConfigError(f"--gump-max-budget must be dollars above zero, not {budget!r}")
    return replace(workflow, max_budget=usd)


def _inputs(config: pytest.Config, workflow: Workflow) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in config.getoption("gump_input"):
        key, equals, value = str(word).partition("=")
        if not equals:
            raise ConfigError(f"--gump-input {word!r} is not KEY=VALUE")
        if key not in workflow.inputs:
            declared = ", ".join(workflow.inputs) or "none"
            raise ConfigError(
                f"--gump-input: workflow {workflow.name!r} has no input {key!r}", hint=f"inputs: {declared}"
            )
        given[key] = value
    for name, declared_input in workflow.inputs.items():
        if name not in given and declared_input.default is not None:
            given[name] = declared_input.default
        if name not in given and declared_input.required:
            raise ConfigError(f"workflow {workflow.name!r} requires input {name!r}", hint=f"--gump-input {name}=...")
    return given


def _replay(config: pytest.Config) -> Replay | None:
    folder = config.getoption("gump_replay")
    if not folder:
        return None
    text = config.getoption("gump_replay_delay")
    try:
        delay = float(text)
    except ValueError:
        delay = -1.0
    if not 0 <= delay < float("inf"):
        raise ConfigError(f"--gump-replay-delay must be a number from 0, not {text!r}")
    cassette = Cassette.open(Path(config.invocation_params.dir, folder))
    return Replay(cassette, lenient=bool(config.getoption("gump_replay_lenient")), delay=delay)
