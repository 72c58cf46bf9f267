"""Ignored folders that stay in a worktree between attempts.

Every pytest session imports this module, so it must stay small.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOL_CACHES: Final = (".mypy_cache", ".pytest_cache", ".ruff_cache")
KEEP_IGNORED: Final = (
    *("node_modules", ".venv", "venv", "target", "vendor", ".bundle", ".gradle", "__pycache__"),
    *("*.egg-info", ".eggs", ".tox", ".nox", *TOOL_CACHES),
)
"""Dependencies and caches, which are expensive to create. Gates do not see them, unless setup created them."""


def is_kept(path: str, keep: Sequence[str]) -> bool:
    """True if a kept name matches the path: `node_modules` at any depth, `web/dist` only from the top."""
    parts = path.strip("/").split("/")
    for raw in keep:
        name = raw.strip("/")
        if "/" in name:
            if fnmatch.fnmatchcase("/".join(parts[: name.count("/") + 1]), name):
                return True
        elif any(fnmatch.fnmatchcase(part, name) for part in parts):
            return True
    return False
