"""The agent CLIs that have an adapter, and the built-in agent names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_gump.system.lazy import LazyMapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.agents.clis.adapter import CliAgent

FAMILIES: Final[Mapping[str, type[CliAgent]]] = LazyMapping(
    {
        "claude": "pytest_gump.agents.clis.claude:ClaudeAgent",
        "codex": "pytest_gump.agents.clis.codex:CodexAgent",
        "gemini": "pytest_gump.agents.clis.gemini:GeminiAgent",
        "qwen": "pytest_gump.agents.clis.qwen:QwenAgent",
        "opencode": "pytest_gump.agents.clis.opencode:OpencodeAgent",
        "copilot": "pytest_gump.agents.clis.copilot:CopilotAgent",
        "cursor": "pytest_gump.agents.clis.cursor:CursorAgent",
    }
)
"""Adapters by CLI name, the prefix of agent names. Each is imported when it is looked up; all of them take 25 ms."""

# The explicit form, for a model without a short name: `claude:my-deployment`.
_EXPLICIT = re.compile(r"(?P<family>[a-z]+):(?P<model>[A-Za-z0-9][\w.:/@\[\]-]*)", re.ASCII)


def family_of(name: str) -> str | None:
    """Return the CLI of an agent name: `claude` for `claude-opus`; None if the CLI is unknown."""
    head = re.split("[-:]", name, maxsplit=1)[0]
    return head if head in FAMILIES else None


VENDORS: Final[Mapping[str, str]] = {
    "claude": "Claude", "opus": "Claude", "sonnet": "Claude", "haiku": "Claude", "gpt": "GPT", "codex": "GPT",
    "openai": "GPT", "gemini": "Gemini", "qwen": "Qwen", "deepseek": "DeepSeek", "mistral": "Mistral", "grok": "Grok",
    "llama": "Llama", "kimi": "Kimi", "glm": "GLM",
}  # fmt: skip
"""Families of models, by a word in the names of their models or CLIs."""


def model_family(cli: str, model: str | None) -> str | None:
    """Return the family of the models of an agent, such as `Claude`; None if its CLI may choose any model.

    The model of a CLI that is not known counts as a family of its own.
    """
    parts = re.split(r"[^a-z]+", f"{model or ''} {cli}".lower())
    known = next((VENDORS[part] for part in parts if part in VENDORS), None)
    return known if known is not None or (cli in FAMILIES and not model) else model or cli


def find_built_in(name: str) -> tuple[type[CliAgent], str | None] | None:
    """Return the adapter and the model of a built-in name; None for any other name.

    The model is None if the CLI chooses it.
    """
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
