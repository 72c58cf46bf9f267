"""Jobs of the command line, read and checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pytest_gump.agents import registry
from pytest_gump.agents.base import shell_of
from pytest_gump.errors import ConfigError
from pytest_gump.jobs.agents import find_agent, own_agents, read_replay
from pytest_gump.jobs.files import job_sources, project_root, read_spec, refuse_odd_name
from pytest_gump.jobs.hooks import hook_answers
from pytest_gump.jobs.overrides import check_agents, override_workflow, read_agents, read_inputs, written_inputs
from pytest_gump.jobs.previous_run import find_previous_run
from pytest_gump.jobs.session_settings import session_settings
from pytest_gump.system.environment import home
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.reading.prompt_text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from pytest_gump.agents.base import Agent
    from pytest_gump.agents.shell.permissions import Shell
    from pytest_gump.jobs.agents import CassetteReplay
    from pytest_gump.jobs.previous_run import PreviousRun
    from pytest_gump.settings.settings import Settings
    from pytest_gump.workflow.loaded import Loaded
    from pytest_gump.workflow.model import Workflow


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One workflow on one spec. Each job becomes a run."""

    file: Path
    """The file at the start of the node id: the spec or the workflow file."""
    spec: Path
    spec_bytes: bytes
    loaded: Loaded
    workflow: Workflow
    """The workflow with the overrides of the command line and the selected steps."""
    inputs: Mapping[str, str]
    gates: Mapping[str, Callable[[Any], None]]
    agents: Mapping[str, Agent | str]
    replay: CassetteReplay | None
    project: Path
    settings: Settings
    previous: PreviousRun | None = None
    """The run to resume, or to start a new run from."""

    def agent(self, name: str) -> Agent:
        """Return the adapter of an agent name, or its replay agent.

        Raises:
            AgentError: The name is unknown.
        """
        return find_agent(name, self.agents, self.replay)

    def cli_of(self, name: str) -> str:
        return self.agent(name).cli

    def shell_of(self, name: str) -> Shell | None:
        return shell_of(self.agent(name))

    def models_of(self, name: str) -> str | None:
        """Return the family of an agent's models, such as `Claude`; None if it is not known."""
        return registry.models_of(name, self.agents)

    def value_prefix(self, call: str, name: str) -> str:
        """Return where a call gives an input its value, as the start of a message: `flow.yaml:6: `."""
        file, line = self.loaded.value_location(call, name)
        return "" if file is None or line is None else f"{shown(file, self.project)}:{line}: "

    def describe_agent(self, name: str) -> str:
        """Return program, model and `gump_agents` definition of an agent name."""
        agent = registry.find(name, self.agents) or self.agent(name)
        own = self.agents.get(name)
        return f"{agent.cli} {getattr(agent, 'model', None) or ''} {own if isinstance(own, str) else ''}".strip()


def read_jobs(session: pytest.Session) -> list[Job]:
    """Read all specs and workflows of the command line.

    Raises:
        GumpError: A spec, workflow, agent or setting is invalid. Nothing was started.
    """
    jobs = list(_jobs(session.config, hook_answers(session)))
    return [_with_previous_run(session.config, job) for job in jobs]


def _with_previous_run(config: pytest.Config, job: Job) -> Job:
    previous = find_previous_run(config, job.spec, job.workflow.name)
    return job if previous is None else replace(job, previous=previous, workflow=previous.selected(job.workflow))


def _jobs(config: pytest.Config, hooks: Callable[[Path, str], dict[str, Any]]) -> Iterator[Job]:
    replay = read_replay(config)
    project, settings = project_root(config), session_settings(config)
    own = own_agents(settings, replayed=replay is not None)
    read = cache(read_spec)
    for source in job_sources(config):
        file, spec = source.file, source.spec
        refuse_odd_name(file, config.rootpath)
        _load_conftests(config, spec)
        gates, agents = hooks(spec, "pytest_gump_gates"), {**own, **hooks(spec, "pytest_gump_agents")}
        agent_error = partial(registry.problem, extra=agents, replayed=replay is not None)
        given, override = written_inputs(config), read_agents(config, agent_error)
        loaded = load_workflow(
            source.workflow,
            gates=tuple(gates),
            agents=agent_error,
            same_cli=partial(registry.same_cli, extra=agents),
            models_of=partial(registry.models_of, extra=agents),
            replaced=override.step,
            project=project,
            home=home(),
            inputs=given,
        )
        check_agents(loaded.agent_inputs, given, agent_error)
        workflow = override_workflow(config, loaded.workflow, override)
        inputs = read_inputs(config, workflow)
        inputs |= {name: override.agent(inputs[name]) for name in loaded.agent_inputs if name in inputs}
        yield Job(file, spec, read(spec), loaded, workflow, inputs, gates, agents, replay, project, settings)


def _load_conftests(config: pytest.Config, spec: Path) -> None:
    """Load the conftests around the spec. Pytest loads only those of its arguments, and a resume has no arguments.

    Raises:
        ConfigError: A conftest cannot be imported.
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
