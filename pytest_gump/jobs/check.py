"""Check that a job can run, before anything is written or started."""

from __future__ import annotations

import contextlib
import shlex
import sys
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.agents import prices, registry
from pytest_gump.errors import AgentError, ConfigError, WorktreeError
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system.git.repository import Repository
from pytest_gump.text import listed
from pytest_gump.workflow.edit import agents_of, agents_of_step, walk
from pytest_gump.workflow.model import VALIDATE
from pytest_gump.workflow.refs import iter_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_gump.jobs.job import Job
    from pytest_gump.system.git.checkout_status import CheckoutStatus


_OURS: Final = (*BUILTIN, VALIDATE)
_LOOKED_AT: Final = pytest.StashKey[Repository]()


def look_ahead(config: pytest.Config, project: Path) -> None:
    """Start `git status` in the background, so that `check` finds its result sooner."""
    with contextlib.suppress(WorktreeError):  # `check` reports it
        repository = config.stash[_LOOKED_AT] = Repository.open(project)
        config.add_cleanup(repository.close)
        repository.begin_status()


def _open(config: pytest.Config, project: Path) -> Repository:
    repository = config.stash.get(_LOOKED_AT, None)
    if repository is None or repository.root != project:
        return Repository.open(project)
    del config.stash[_LOOKED_AT]
    return repository


def check(config: pytest.Config, job: Job) -> tuple[Repository, CheckoutStatus]:
    """Return the repository of a job and the status of its checkout.

    Raises:
        GumpError: Repository, checkout, settings or agents do not allow a run.
    """
    _refuse_platform()
    repository = _open(config, job.project)
    prices.use(job.settings.own_prices)
    _refuse_failover(config, job)
    missing = list(_missing_agents(job))
    if missing:
        absent = [name for name in dict.fromkeys(agents_of(job.workflow)) if job.agent(name).missing() is not None]
        raise AgentError("\n".join(missing), hint=other_agents(absent, config.getoption("gump_agent")))
    _refuse_without_assertions(job)
    if job.settings.unknown_cost == "refuse":
        _refuse_unknown_cost(job)
    status = repository.status()
    is_new = job.previous is None and config.getoption("gump_base") is None
    if is_new and config.getoption("gump_dirty") != "include":
        _refuse_changes(status.dirty)
    return repository, status


def _refuse_platform() -> None:
    if sys.platform == "win32":
        raise ConfigError("pytest-gump runs on Linux and macOS only", hint="use WSL on Windows")


def _refuse_failover(config: pytest.Config, job: Job) -> None:
    """Refuse an agent of `gump_on_quota` that is unknown or cannot start on this machine."""
    option = "gump_on_quota" if config.getoption("gump_on_quota") is None else "--gump-on-quota"
    for name in job.settings.failover:
        problem = registry.problem(name, job.agents, replayed=job.replay is not None) or job.agent(name).missing()
        if problem is not None:
            raise AgentError(f"{option}: {problem}", hint="use wait, stop, or the name of another agent")


def other_agents(missing: Sequence[str], overrides: Sequence[str]) -> str:
    """Return a hint with the options that replace missing agents, by the agent of `--gump-agent` if there is one."""
    every = [word for word in overrides if "=" not in word and word not in missing]
    new = every[-1] if every else "AGENT"
    return f"to use another agent: {' '.join(shlex.quote(f'--gump-agent={name}={new}') for name in missing)}"


def _missing_agents(job: Job) -> Iterator[str]:
    """Yield a line for each missing agent CLI, with the steps that need it."""
    needed: dict[str, list[str]] = {}
    for names, step in iter_steps(job.workflow.steps):
        path = "::".join(names)
        for name in agents_of_step(step) if step.kind != "group" else ():
            reason = job.agent(name).missing()
            if reason is not None and path not in needed.setdefault(reason, []):
                needed[reason].append(path)
    for reason, paths in needed.items():
        yield f"cannot start the agent of {', '.join(paths)}: {reason}"


def _refuse_without_assertions(job: Job) -> None:
    """Refuse a workflow with gate functions if Python removes assertions (`-O`)."""
    own = [gate.name for step in walk(job.workflow.steps) for gate in step.gate if gate.name not in _OURS]
    if sys.flags.optimize and own:
        from pytest_gump.gates.custom import NO_ASSERTIONS  # rarely needed

        names = listed([*dict.fromkeys(own)])
        raise ConfigError(f"{NO_ASSERTIONS}: {names}", hint="start pytest without -O, and unset PYTHONOPTIMIZE")


def _refuse_unknown_cost(job: Job) -> None:
    """Refuse a max_budget if the cost of an agent is unknown."""
    workflow, names = job.workflow, {*agents_of(job.workflow), *job.settings.failover}
    is_limited = workflow.max_budget is not None or any(
        step.max_budget is not None or step.guard.max_budget is not None for step in walk(workflow.steps)
    )
    unknown = sorted(name for name in names if job.agent(name).cost == "unknown")
    if is_limited and unknown:
        reasons = [f"  {name}: {registry.why_unknown(job.agent(name))}" for name in unknown]
        raise ConfigError(
            "\n".join([f"max_budget cannot be enforced: the cost of {', '.join(unknown)} is unknown", *reasons]),
            hint="remove max_budget, or set gump_unknown_cost = allow to count unknown costs as 0",
        )


def _refuse_changes(dirty: list[str]) -> None:
    """Refuse a checkout with uncommitted changes, because a run does not include them by default."""
    if not dirty:
        return
    raise WorktreeError(
        f"the checkout has uncommitted changes: {listed(dirty, show=str)}",
        hint="commit or stash them, or include them in the run with --gump-dirty=include",
    )
