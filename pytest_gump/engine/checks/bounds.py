"""Bounds of an attempt's changes: the plan item's files, protected paths, and the user's checkout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.gates.patterns import matches
from pytest_gump.system.real_path import real_path
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_gump.order import Order, PlanItem
    from pytest_gump.workflow.model import GateSpec

PROTECTED: Final = (
    ".claude/",
    ".codex/",
    ".gemini/",
    ".qwen/",
    ".cursor/",
    ".opencode/",
    ".github/copilot/",
    ".github/hooks/",
    ".github/instructions/",
    ".github/copilot-instructions.md",
    "opencode.json",
    "opencode.jsonc",
    ".mcp.json",
    ".gump/",
    "gump.toml",
    ".githooks/",
    ".gitmodules",
    ".husky/",
)
"""Configuration that would affect the next step or run. An attempt may change it only if the plan item names it."""


class Crossing(NamedTuple):
    """Changes outside the bounds: `reason` fails the attempt, `warning` is for `blast_radius: warn`."""

    reason: str | None = None
    warning: str | None = None


def check_bounds(
    order: Order, changed: Sequence[str], *, bad: Sequence[str] = (), tests: Sequence[str] = ()
) -> Crossing:
    """Check the paths that have changed since the step began.

    The attempt's own base is not used: after an attempt that changed a file outside the bounds, the next attempt
    continues from its tree and must still fail. `tests` are the patterns of test files, by default the built-in ones.
    """
    reasons = []
    if bad:
        reasons.append(f"left files that cannot be kept (unreadable, or a link out of the tree): {listed([*bad])}")
    if forbidden := protected(changed, order.item):
        reasons.append(f"changed protected files: {listed(forbidden)}")
    beyond = outside(changed, order.item) if order.blast_radius != "off" else []
    if beyond and writes_tests(order.gates):
        own = set(matches(("@tests",), beyond, tests=tests))
        beyond = [path for path in beyond if path not in own]
    message = f"changed files outside those of the plan item: {listed(beyond)}"
    if beyond and order.blast_radius == "enforce":
        reasons.append(message)
    warning = message if beyond and order.blast_radius == "warn" else None
    return Crossing("; ".join(reasons) or None, warning)


def writes_tests(gates: Iterable[GateSpec]) -> bool:
    """True for a step that must add tests. It may change test files that the plan item does not name."""
    return any(gate.name == "tests_found" for gate in gates)


def outside(changed: Iterable[str], item: PlanItem | None) -> list[str]:
    """Return the changed paths that the item's patterns do not cover; an item without patterns covers all paths."""
    paths = list(changed)
    if item is None or not item.files:
        return []
    inside = set(matches(item.files, paths))
    return [path for path in paths if path not in inside]


def protected(changed: Iterable[str], item: PlanItem | None) -> list[str]:
    """Return the changed paths that are protected and not named by the item; a pattern like `**` names none."""
    lowered = {path: path.lower() for path in changed}  # on a file system that ignores case, .Claude is .claude
    found = set(matches(PROTECTED, [*dict.fromkeys(lowered.values())]))
    paths = [path for path, lower in lowered.items() if lower in found]
    named = [] if item is None else [pattern for pattern in item.files if _names_protected(pattern)]
    allowed = set(matches(named, paths))
    return [path for path in paths if path not in allowed]


def gate_config(changed: Iterable[str]) -> tuple[str, ...]:
    """Return the changed files that configure gates."""
    return tuple(matches(("@gate-config",), changed))


def place_in(worktree: Path, path: str) -> str | None:
    """Return a tool call's path relative to the worktree, or None if it is outside. Does not follow links."""
    written = os.path.normpath(os.path.join(worktree, path))  # noqa: PTH118 - lexical on purpose
    for root in {str(worktree), os.path.realpath(worktree)}:
        if written.startswith(root + os.sep):
            return os.path.relpath(written, root)
    return None


class Roots:
    """An attempt's worktree and the user's checkout, each as written and with links resolved.

    Links are resolved when the object is created, so an agent that replaces its worktree has no effect on the check.
    """

    def __init__(self, worktree: Path, checkout: Path) -> None:
        self._worktree = worktree
        self._ours = _spellings(str(worktree))
        self._theirs = _spellings(str(checkout))

    def is_in_checkout(self, path: str) -> bool:
        """True if a tool call's path, relative to the worktree, is in the user's checkout.

        Checks the path as written and with links resolved. The worktree itself may be inside the checkout.
        """
        joined = os.path.join(self._worktree, os.fsdecode(path.encode("utf-8", "replace")))  # noqa: PTH118
        return any(
            _below(spelling, self._theirs) and not _below(spelling, self._ours) for spelling in _spellings(joined)
        )


def _spellings(path: str) -> set[str]:
    spellings = {os.path.normpath(path)}
    if "\0" not in path:  # no file name contains a null byte, and system calls refuse it
        spellings.add(real_path(path))
    return spellings


def _below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _names_protected(pattern: str) -> bool:
    first = pattern.removeprefix("./").strip().split("/")[0]
    return any(first == known.rstrip("/") for known in PROTECTED)
