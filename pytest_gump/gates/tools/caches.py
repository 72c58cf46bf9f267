"""Build caches of gates. They are separate from those of agents, because a cache can change the result of a build."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_OF_SLOT: Final = {
    "CARGO_TARGET_DIR": "cargo-target",
    "MYPY_CACHE_DIR": "mypy",
    "RUFF_CACHE_DIR": "ruff",
}
"""Caches that contain paths of the worktree, or files built from it."""
_OF_RUN: Final = {
    "GOCACHE": "go",
    "GRADLE_USER_HOME": "gradle",
    "npm_config_cache": "npm",
    "YARN_CACHE_FOLDER": "yarn",
    "CCACHE_DIR": "ccache",
    "SCCACHE_DIR": "sccache",
}
_GRADLE_OWN: Final = ("gradle.properties", "init.gradle", "init.gradle.kts", "init.d", "wrapper")
"""The user's settings of Gradle, and its distributions."""


def cache_environment(folder: Path, slot: str, home: str | None) -> dict[str, str]:
    """Return the variables that point tools to caches in `folder`; some caches have a subfolder for each slot.

    If the user has settings of Gradle in `home`, the function creates GRADLE_USER_HOME with links to them. Gradle reads
    the user's downloaded dependencies with GRADLE_RO_DEP_CACHE.
    """
    found = {name: str(folder / slot / subfolder) for name, subfolder in _OF_SLOT.items()}
    found |= {name: str(folder / subfolder) for name, subfolder in _OF_RUN.items()}
    users = Path(home or "/nonexistent", ".gradle")
    if (users / "caches" / "modules-2").is_dir():
        found["GRADLE_RO_DEP_CACHE"] = str(users / "caches")
    own = [name for name in _GRADLE_OWN if os.path.lexists(users / name)]
    if own:
        gradle = Path(found["GRADLE_USER_HOME"])
        gradle.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in own:
            with contextlib.suppress(FileExistsError):
                (gradle / name).symlink_to(users / name)
    return found
