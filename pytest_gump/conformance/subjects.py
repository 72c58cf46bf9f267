"""The CLIs under test: the agent for each, and the settings that connect it to the scripted model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEY: Final = "sk-gump-conformance-0123456789abcdef"
"""Passed to every CLI as its key. It must not appear in any file or result."""


@dataclass(frozen=True, slots=True)
class Subject:
    cli: str
    agent: str
    """Agent name, with a model that has a price."""
    install: Callable[[Path, str], dict[str, str]]
    """Writes settings for a home folder and the URL of a model server, and returns the environment."""
    key_names: tuple[str, ...]
    """Variables that count as a login."""
    no_session: str = "11111111-2222-4333-8444-555555555555"
    """Id of a conversation that does not exist."""
    begins_alone: bool = False
    """True if the first run in a home folder must end before other runs start."""
    strays: frozenset[str] = frozenset()
    """Other hosts that the CLI contacts, and no option prevents it."""


def _claude(_home: Path, url: str) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}


def _codex(home: Path, url: str) -> dict[str, str]:
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    provider = f'name = "scripted"\nbase_url = "{url}/v1"\nenv_key = "OPENAI_API_KEY"\nwire_api = "responses"\n'
    quiet = "[features]\nplugins = false\n"
    # With plugins on, the CLI fetches a list of them at every start.
    settings = f'model_provider = "scripted"\n\n{quiet}\n[model_providers.scripted]\n{provider}'
    (folder / "config.toml").write_text(settings, encoding="utf-8")
    return {"CODEX_HOME": str(folder), "OPENAI_API_KEY": KEY}


def _gemini(home: Path, url: str) -> dict[str, str]:
    folder = home / ".gemini"
    folder.mkdir(parents=True, exist_ok=True)
    # No deprecated key: the CLI rewrites a file with such a key at its start, and parallel starts then read half of it.
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": url}


def _qwen(_home: Path, url: str) -> dict[str, str]:
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/v1"}


def _opencode(_home: Path, url: str) -> dict[str, str]:
    cost = {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}
    model = {"name": "scripted", "limit": {"context": 400_000, "output": 8192}, "cost": cost}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "scripted",
        "options": {"baseURL": f"{url}/v1", "apiKey": KEY},
        "models": {"model-1": model},
    }
    settings = {"provider": {"scripted": provider}, "autoupdate": False, "share": "disabled"}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(settings), "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def _copilot(_home: Path, url: str) -> dict[str, str]:
    return {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_WIRE_API": "responses",
        "COPILOT_PROVIDER_API_KEY": KEY,
        "COPILOT_OFFLINE": "true",
    }


# At every start, OpenCode tries to install its plugin package into its configuration folder.
_PLUGINS: Final = frozenset({"registry.npmjs.org:443"})

SUBJECTS: Final[Mapping[str, Subject]] = {
    "claude": Subject("claude", "claude-sonnet-4-5", _claude, ("ANTHROPIC_API_KEY",)),
    "codex": Subject("codex", "codex-gpt55", _codex, ("OPENAI_API_KEY",)),
    "gemini": Subject("gemini", "gemini-25-pro", _gemini, ("GEMINI_API_KEY",)),
    "qwen": Subject("qwen", "qwen-coder-plus", _qwen, ("OPENAI_API_KEY",)),
    "opencode": Subject(
        "opencode",
        "opencode-scripted/model-1",
        _opencode,
        ("OPENCODE_CONFIG_CONTENT",),
        no_session="ses_00000000000000000000000000",
        begins_alone=True,
        strays=_PLUGINS,
    ),
    "copilot": Subject("copilot", "copilot-gpt54-mini", _copilot, ("COPILOT_PROVIDER_BASE_URL", "COPILOT_OFFLINE")),
}
