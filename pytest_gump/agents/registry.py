"""Which agent names there are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.family import FAMILIES, family_of, find_built_in
from pytest_gump.errors import AgentError, suggest

if TYPE_CHECKING:
    from pytest_gump.agents.base import Agent

ADAPTER: Final = ("name", "cli", "cost", "missing", "command", "reader")
"""What an adapter from a hook must have."""

Extra = Mapping[str, "Agent | str"]
"""Agents from a hook, or from an ini value: the name of another agent, then further words for its command line.

A word `env:NAME=VALUE` sets a variable of the agent's environment instead, `env:NAME` passes on the user's own.
"""


def resolve(name: str, extra: Extra | None = None) -> Agent:
    """Make the agent of a name.

    Raises:
        AgentError: nobody knows it; says which names are near.
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
        raise AgentError(f"agent {name!r} stands for itself: {' -> '.join(passed)}")
    heads = ", ".join([*extra, *FAMILIES])
    hint = f"{suggest(target, known(extra))} known are {heads}; a CLI with a model is CLI-MODEL".lstrip()
    raise AgentError(f"unknown agent {target!r}", hint=hint)


def find(name: str, extra: Extra | None = None) -> Agent | None:
    """The agent of a name; None when nobody knows it."""
    try:
        return resolve(name, extra)
    except AgentError:
        return None


def problem(name: str, extra: Extra | None = None, *, replayed: bool = False) -> str | None:
    """Why an agent of that name cannot be used; a cassette plays every name of a known family."""
    if replayed and family_of(name) is not None:
        return None
    try:
        resolve(name, extra)
    except AgentError as error:
        return str(error)
    return None


def cli_of(name: str, extra: Extra | None = None) -> str | None:
    """The family of a name, custom names included; None for an unknown one."""
    agent = find(name, extra)
    return family_of(name) if agent is None else agent.cli


def same_cli(name: str, other: str, extra: Extra | None = None) -> bool:
    """Whether a session of one agent can be resumed by the other."""
    cli = cli_of(name, extra)
    return cli is not None and cli == cli_of(other, extra)


def why_unknown(agent: Agent) -> str:
    """Return why the cost of an agent is `unknown`."""
    from pytest_gump.agents.clis.adapter import CliAgent  # only for agents of CLIs, which have it loaded

    if isinstance(agent, CliAgent) and type(agent) is FAMILIES.get(agent.cli):
        return agent.why_unknown
    return "its adapter says so"


def known(extra: Extra | None = None) -> list[str]:
    return [*(name for family in FAMILIES.values() for name in family.models), *(extra or {})]


def _read_alias(name: str, text: str, arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    try:
        target, *more = shlex.split(text)
    except ValueError as error:
        raise AgentError(
            f"agent {name!r}: cannot read {text!r}", hint="write the name of an agent, then words for its command line"
        ) from error
    return target, (*more, *arguments)


def _custom(name: str, agent: Agent, arguments: tuple[str, ...]) -> Agent:
    lacking = [part for part in ADAPTER if not hasattr(agent, part)]
    if lacking:
        raise AgentError(
            f"agent {name!r}: its adapter has no {', '.join(lacking)}",
            hint="see docs/reference/hooks.md, pytest_gump_agents",
        )
    if arguments:
        raise AgentError(f"agent {name!r}: {agent.name!r} comes from a hook and takes no further words")
    return agent
