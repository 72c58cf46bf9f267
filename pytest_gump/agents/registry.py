"""Which agent names there are."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.claude import ClaudeAgent
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    from pytest_gump.agents.base import Agent

CLAUDE_MODELS: Final[Mapping[str, str | None]] = {
    "claude": None,
    "claude-opus": "opus",
    "claude-sonnet": "sonnet",
    "claude-haiku": "haiku",
    "claude-opusplan": "opusplan",
}
"""Short names, and what `--model` gets; None leaves it to the CLI's own setting."""

NOT_YET: Final = ("codex", "gemini", "qwen", "opencode", "cursor")
"""Families that cassettes may hold, and that no adapter exists for."""

FAMILIES: Final = ("claude", *NOT_YET)

# A model id holds a version number: `claude-opsu` is a slip of the pen, not a model.
_MODEL_ID = re.compile(r"claude-[a-z0-9.\-]*\d[a-z0-9.\-]*(?:\[[0-9a-z]+\])?", re.ASCII)

ADAPTER: Final = ("name", "cli", "cost", "missing", "command", "reader")
"""What an adapter from a hook must have."""

Extra = Mapping[str, "Agent | str"]
"""Agents from a hook, or from an ini value: the name of another agent and further words for its command line."""


def family(name: str) -> str | None:
    """`claude` for `claude-opus`; None when no known CLI is meant."""
    head = name.partition("-")[0]
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
    try:
        return resolve(name, extra).cli
    except AgentError:
        return family(name)


def same_cli(one: str, other: str, extra: Extra | None = None) -> bool:
    """Whether a session of one agent can be resumed by the other."""
    cli = cli_of(one, extra)
    return cli is not None and cli == cli_of(other, extra)


def known(extra: Extra | None = None) -> list[str]:
    return [*CLAUDE_MODELS, *(extra or {})]


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
    return name in CLAUDE_MODELS or _MODEL_ID.fullmatch(name) is not None


def _built_in(target: str, name: str, words: tuple[str, ...], extra: Extra) -> Agent:
    if _is_built_in(target):
        return ClaudeAgent(name, model=CLAUDE_MODELS.get(target, target), arguments=words)
    names = known(extra)
    if family(target) in NOT_YET:
        raise AgentError(f"agent {target!r} is not supported yet", hint=f"supported are {', '.join(names)}")
    near = difflib.get_close_matches(target, names, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise AgentError(f"unknown agent {target!r}", hint=f"{guess}known are {', '.join(names)} and claude-<model id>")
