"""Ignored folders that stay in a worktree between attempts. Every pytest run imports this: it must stay light."""

from __future__ import annotations

from typing import Final

TOOL_CACHES: Final = (".mypy_cache", ".pytest_cache", ".ruff_cache")
KEEP_IGNORED: Final = (
    *("node_modules", ".venv", "venv", "target", "vendor", ".bundle", ".gradle", "__pycache__"),
    *("*.egg-info", ".eggs", ".tox", ".nox", *TOOL_CACHES),
)
"""Dependencies and caches, which are expensive to make. No gate sees them unless setup left them."""
