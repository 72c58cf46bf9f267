"""Agents by name: built-in names, adapters from hooks, and aliases from ini values."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.family import FAMILIES, family_of, find_built_in, model_family
from pytest_gump.errors import AgentError, suggest

if TYPE_CHECKING:
    from pytest_gump.agents.base import Agent
    from pytest_gump.agents.clis.adapter import CliAgent

ADAPTER: Final = ("name", "cli", "cost", "missing", "command", "reader")
"""Attributes that an adapter from a hook must have."""

Extra = Mapping[str, "Agent | str"]
"""Agents from a hook, or aliases from an ini value: the name of another agent, then arguments for its command line.

An argument `env:NAME=VALUE` sets a variable of the agent's environment; `env:NAME` passes on the user's variable.
"""


def resolve(name: str, extra: Extra | None = None) -> Agent:
    """Return the agent with this name.

    Raises:
        AgentError: The name is unknown; the hint lists similar names.
    """
    extra = extra or {}
    target, passed = name, [name]
    arguments: tuple[str, ...] = ()
    while target in extra and passed.count(target) == 1:
        custom = extra[target]
        if not isinstance(custom, str):
            return _custom(name, custom, arguments)
        target, arguments = _read_alias(target, custom, arguments)
        passed.append(target)
    built_in = find_built_in(target)
    if built_in is not None:
        family, model = built_in
        return family.configured(name, model, arguments)
    if len(passed) > len(set(passed)):
        raise AgentError(f"agent {name!r} refers to itself: {' -> '.join(passed)}")
    heads = ", ".join([*extra, *FAMILIES])
    hint = f"{suggest(target, known(extra))} known agents: {heads}; write CLI-MODEL to choose a model".lstrip()
    raise AgentError(f"unknown agent {target!r}", hint=hint)


def find(name: str, extra: Extra | None = None) -> Agent | None:
    """Return the agent with this name; None if the name is unknown."""
    try:
        return resolve(name, extra)
    except AgentError:
        return None


def problem(name: str, extra: Extra | None = None, *, replayed: bool = False) -> str | None:
    """Return why an agent cannot be used; None if it can. With `replayed`, every name of a known CLI is accepted."""
    if replayed and family_of(name) is not None:
        return None
    try:
        resolve(name, extra)
    except AgentError as error:
        return str(error)
    return None


def cli_of(name: str, extra: Extra | None = None) -> str | None:
    """Return the CLI of an agent name, custom names included; None if the name is unknown."""
    agent = find(name, extra)
    return family_of(name) if agent is None else agent.cli


def same_cli(name: str, other: str, extra: Extra | None = None) -> bool:
    """True if one agent can resume a conversation of the other."""
    cli = cli_of(name, extra)
    return cli is not None and cli == cli_of(other, extra)


def models_of(name: str, extra: Extra | None = None) -> str | None:
    """Return the family of the models of an agent name, such as `Claude`; None if it is not known."""
    agent = find(name, extra)
    cli = family_of(name) if agent is None else agent.cli
    return None if cli is None else model_family(cli, getattr(agent, "model", None))


def why_unknown(agent: Agent) -> str:
    """Return why the cost of an agent is `unknown`."""
    built_in = _as_built_in(agent)
    return "its adapter declares it as unknown" if built_in is None else built_in.why_unknown


def why_unpriced(agent: Agent) -> str:
    """Return why `gump models` shows no price for an agent."""
    built_in = _as_built_in(agent)
    return "its adapter computes the cost" if built_in is None else built_in.why_unpriced


def _as_built_in(agent: Agent) -> CliAgent | None:
    from pytest_gump.agents.clis.adapter import CliAgent  # loaded only if an agent of a CLI is used

    return agent if isinstance(agent, CliAgent) and type(agent) is FAMILIES.get(agent.cli) else None


def known(extra: Extra | None = None) -> list[str]:
    return [*(name for family in FAMILIES.values() for name in family.models), *(extra or {})]


def _read_alias(name: str, text: str, arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    try:
        target, *more = shlex.split(text)
    except ValueError as error:
        raise AgentError(f"agent {name!r}: cannot read {text!r}", hint="write AGENT, or AGENT ARGUMENTS") from error
    return target, (*more, *arguments)


def _custom(name: str, agent: Agent, arguments: tuple[str, ...]) -> Agent:
    lacking = [part for part in ADAPTER if not hasattr(agent, part)]
    if lacking:
        raise AgentError(
            f"agent {name!r}: its adapter has no {', '.join(lacking)}",
            hint="see docs/reference/hooks.md, pytest_gump_agents",
        )
    if arguments:
        raise AgentError(f"agent {name!r}: {agent.name!r} comes from a hook and takes no arguments")
    return agent
