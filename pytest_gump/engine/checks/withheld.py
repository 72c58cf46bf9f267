"""Find variables that a failed command may lack: they are set here, but the allow-list does not pass them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pytest_gump.system.environment import child_environment
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from pytest_gump.gates.base import GateResult

_SHOWN: Final = 6
_LOGIN: Final = re.compile(
    r"log(?:ged)? ?in\b|login|authenti|credential|api[ _-]?key|unauthori[sz]ed|forbidden|\b40[13]\b|access denied",
    re.IGNORECASE,
)
_CLOUDS: Final = re.compile(
    r"(?:AWS|AZURE|GOOGLE|GCLOUD|CLOUDSDK|CLOUD_ML|VERTEX|ANTHROPIC|CLAUDE_CODE|OPENAI|CODEX|GEMINI|QWEN|DASHSCOPE"
    r"|OPENROUTER|MISTRAL|GROQ|XAI|DEEPSEEK|CURSOR|OPENCODE)_\w+"
)
_LACKING: Final = re.compile(
    r"not found|no such file|not installed|could ?n[o']t (?:find|locate|determine)|cannot find|can't find"
    r"|toolchain|is not set|not configured|unable to locate",
    re.IGNORECASE,
)
_TOOLCHAINS: Final = re.compile(
    r"RUSTUP_\w+|CARGO_\w+|RUSTFLAGS|NVM_\w+|NODE_PATH|NPM_CONFIG_\w+|PNPM_HOME|VOLTA_HOME|FNM_\w+|BUN_INSTALL|DENO_DIR"
    r"|JAVA_HOME|JDK_HOME|GRADLE_\w+|MAVEN_\w+|M2_HOME|SDKMAN_DIR|KOTLIN_HOME|ANDROID_(?:HOME|SDK_ROOT|NDK_HOME)"
    r"|GO(?:PATH|ROOT|CACHE|MODCACHE|PROXY|FLAGS|PRIVATE)|PYENV_\w+|CONDA_\w+|UV_\w+|POETRY_\w+|PIP_\w+"
    r"|RBENV_\w+|RVM_PATH|GEM_(?:HOME|PATH)|BUNDLE_\w+|ASDF_\w+|MISE_\w+|DOTNET_\w+|NUGET_PACKAGES|COMPOSER_HOME"
    r"|OPAMROOT|OPAM_SWITCH_PREFIX|GHCUP_\w+|STACK_ROOT|MIX_HOME|HEX_HOME|LD_LIBRARY_PATH|DYLD_\w+|PKG_CONFIG_PATH"
    r"|NIX_\w+|CC|CXX|CMAKE_PREFIX_PATH|LLVM_\w+"
)
_NAME: Final = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b")
_OURS: Final = re.compile(r"(?:GUMP|PYTEST)_\w+|PYTHON\w*|VIRTUAL_ENV\w*")


def likely(passed: Container[str], output: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the variables that were not passed and that a command with this output may need."""
    mentioned = set(_NAME.findall(output))
    kinds = [names for sign, names in ((_LOGIN, _CLOUDS), (_LACKING, _TOOLCHAINS)) if sign.search(output)]
    kept = kept_back(passed, environment)
    return [name for name in kept if name in mentioned or any(kind.fullmatch(name) for kind in kinds)]


def from_gates(gates: Iterable[GateResult], names: Iterable[str]) -> list[str]:
    """Return a note on variables that failed gates may lack; empty if the output shows no sign of that."""
    output = "\n".join(f"{gate.summary}\n{gate.output}" for gate in gates if gate.status in {"failed", "error"})
    found = likely(child_environment(names), output) if output else []
    return [hint(found, "gates", "gump_gate_env")] if found else []


def needed_often(passed: Container[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the variables of clouds and toolchains that are set but not passed."""
    return [name for name in kept_back(passed, environment) if _CLOUDS.fullmatch(name) or _TOOLCHAINS.fullmatch(name)]


def kept_back(passed: Container[str], environment: Mapping[str, str]) -> list[str]:
    return sorted(name for name in environment if name not in passed and not _OURS.fullmatch(name))


def hint(names: list[str], whose: str, setting: str) -> str:
    """Return the variables and the setting that passes them, as one line."""
    return f"set here but not passed to {whose}: {listed(names, _SHOWN, show=str)}; {setting} passes them"
