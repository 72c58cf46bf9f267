"""Every agent CLI that there is an adapter for, and the names that are built in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_gump.agents.clis.adapter import CliAgent

_ADAPTERS: Final = {
    "claude": "ClaudeAgent",
    "codex": "CodexAgent",
    "gemini": "GeminiAgent",
    "qwen": "QwenAgent",
    "opencode": "OpencodeAgent",
    "cursor": "CursorAgent",
}
"""The class of each CLI in the module of its name. A run imports only those that it uses: all take 25 ms."""


class _Families(Mapping[str, "type[CliAgent]"]):
    def __getitem__(self, cli: str) -> type[CliAgent]:
        name = _ADAPTERS[cli]
        family: type[CliAgent] = getattr(import_module(f"pytest_gump.agents.clis.{cli}"), name)
        return family

    def __contains__(self, cli: object) -> bool:
        return cli in _ADAPTERS

    def __iter__(self) -> Iterator[str]:
        return iter(_ADAPTERS)

    def __len__(self) -> int:
        return len(_ADAPTERS)


FAMILIES: Final[Mapping[str, type[CliAgent]]] = _Families()
"""The adapters, by the name of their CLI, with which their agents' names begin."""

# The explicit form, for a model that no name stands for: `claude:my-deployment`.
_EXPLICIT = re.compile(r"(?P<family>[a-z]+):(?P<model>[A-Za-z0-9][\w.:/@\[\]-]*)", re.ASCII)


def family_of(name: str) -> str | None:
    """`claude` for `claude-opus`; None when no known CLI is meant."""
    head = re.split("[-:]", name, maxsplit=1)[0]
    return head if head in FAMILIES else None


def find_built_in(name: str) -> tuple[type[CliAgent], str | None] | None:
    """The adapter of a built-in name and the model that it stands for, None being the CLI's own choice."""
    explicit = _EXPLICIT.fullmatch(name)
    if explicit is not None:
        family = FAMILIES.get(explicit["family"])
        return None if family is None else (family, explicit["model"])
    family = FAMILIES.get(name.partition("-")[0])
    if family is None:
        return None
    if name in family.models:
        return family, family.models[name]
    other = family.model_name.fullmatch(name)
    return None if other is None else (family, other["model"])
