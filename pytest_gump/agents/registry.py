"""Which agent names there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_gump.agents import prices
from pytest_gump.agents.clis import claude, codex, cursor, gemini, opencode, qwen
from pytest_gump.agents.configured import Configured, configure
from pytest_gump.agents.family import Family
from pytest_gump.errors import AgentError, suggest

if TYPE_CHECKING:
    from pytest_gump.agents.base import Agent

FAMILIES: Final[Mapping[str, Family]] = {
    "claude": Family(claude.ClaudeAgent, claude.MODELS, claude.MODEL_NAME, claude.ABOUT),
    "codex": Family(codex.CodexAgent, codex.MODELS, codex.MODEL_NAME, codex.ABOUT),
    "gemini": Family(gemini.GeminiAgent, gemini.MODELS, gemini.MODEL_NAME, gemini.ABOUT),
    "qwen": Family(qwen.QwenAgent, qwen.MODELS, qwen.MODEL_NAME, qwen.ABOUT),
    "opencode": Family(opencode.OpencodeAgent, opencode.MODELS, opencode.MODEL_NAME, opencode.ABOUT),
    "cursor": Family(cursor.CursorAgent, cursor.MODELS, cursor.MODEL_NAME, cursor.ABOUT),
}
"""Every CLI that there is an adapter for, by the word that its agent names begin with."""

# The explicit form, for a model that no name stands for: `claude:my-deployment`.
_EXPLICIT = re.compile(r"(?P<family>[a-z]+):(?P<model>[A-Za-z0-9][\w.:/@\[\]-]*)", re.ASCII)

ADAPTER: Final = ("name", "cli", "cost", "missing", "command", "reader")
"""What an adapter from a hook must have."""

Extra = Mapping[str, "Agent | str"]
"""Agents from a hook, or from an ini value: the name of another agent, then further words for its command line.

A word `env:NAME=VALUE` sets a variable of the agent's environment instead, `env:NAME` passes on the user's own.
"""


def family(name: str) -> str | None:
    """`claude` for `claude-opus`; None when no known CLI is meant."""
    head = re.split("[-:]", name, maxsplit=1)[0]
    return head if head in FAMILIES else None


def resolve(name: str, extra: Extra | None = None) -> Agent:
    """Make the agent of a name.

    Raises:
        AgentError: nobody knows it; says which names are near.
    """
    extra = extra or {}
    target, passed = name, [name]
    words: tuple[str, ...] = ()
    while target in extra and passed.count(target) == 1:
        custom = extra[target]
        if not isinstance(custom, str):
            return _custom(name, custom, words)
        target, words = _read_alias(target, custom, words)
        passed.append(target)
    if not _is_built_in(target) and len(passed) > len(set(passed)):
        raise AgentError(f"agent {name!r} stands for itself: {' -> '.join(passed)}")
    return _built_in(target, name, words, extra)


def find(name: str, extra: Extra | None = None) -> Agent | None:
    """The agent of a name; None when nobody knows it."""
    try:
        return resolve(name, extra)
    except AgentError:
        return None


def problem(name: str, extra: Extra | None = None, *, replayed: bool = False) -> str | None:
    """Why an agent of that name cannot be used; a cassette plays every name of a known family."""
    if replayed and family(name) is not None:
        return None
    try:
        resolve(name, extra)
    except AgentError as error:
        return str(error)
    return None


def cli_of(name: str, extra: Extra | None = None) -> str | None:
    """The family of a name, custom names included; None for an unknown one."""
    agent = find(name, extra)
    return family(name) if agent is None else agent.cli


def same_cli(one: str, other: str, extra: Extra | None = None) -> bool:
    """Whether a session of one agent can be resumed by the other."""
    cli = cli_of(one, extra)
    return cli is not None and cli == cli_of(other, extra)


def why_unknown(agent: Agent) -> str:
    """Return why the cost of an agent is `unknown`."""
    inner = agent.agent if isinstance(agent, Configured) else agent
    family = FAMILIES.get(agent.cli)
    if family is None or type(inner) is not family.adapter:
        return "its adapter says so"
    return prices.why_unknown(getattr(inner, "model", None), agent.cli)


def known(extra: Extra | None = None) -> list[str]:
    return [*(name for one in FAMILIES.values() for name in one.models), *(extra or {})]


def _read_alias(name: str, text: str, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    try:
        target, *more = shlex.split(text)
    except ValueError as error:
        raise AgentError(
            f"agent {name!r}: cannot read {text!r}", hint="write the name of an agent, then words for its command line"
        ) from error
    return target, (*more, *words)


def _custom(name: str, agent: Agent, words: tuple[str, ...]) -> Agent:
    lacking = [part for part in ADAPTER if not hasattr(agent, part)]
    if lacking:
        raise AgentError(
            f"agent {name!r}: its adapter has no {', '.join(lacking)}",
            hint="see docs/reference/hooks.md, pytest_gump_agents",
        )
    if words:
        raise AgentError(f"agent {name!r}: {agent.name!r} comes from a hook and takes no further words")
    return agent


def _is_built_in(name: str) -> bool:
    return _find(name) is not None


def _find(name: str) -> tuple[Family, str | None] | None:
    """The family of a built-in name and the model that it stands for, None being the CLI's own choice."""
    explicit = _EXPLICIT.fullmatch(name)
    if explicit is not None:
        one = FAMILIES.get(explicit["family"])
        return None if one is None else (one, explicit["model"])
    one = FAMILIES.get(name.partition("-")[0])
    if one is None:
        return None
    if name in one.models:
        return one, one.models[name]
    beyond = one.beyond.fullmatch(name)
    return None if beyond is None else (one, beyond["model"])


def _built_in(target: str, name: str, words: tuple[str, ...], extra: Extra) -> Agent:
    found = _find(target)
    if found is not None:
        one, model = found
        return configure(one.adapter, name, model, words)
    heads = ", ".join([*extra, *FAMILIES])
    hint = f"{suggest(target, known(extra))} known are {heads}; a CLI with a model is CLI-MODEL".lstrip()
    raise AgentError(f"unknown agent {target!r}", hint=hint)
