"""Fingerprint of an attempt: hashes of the declared inputs that its result depends on.

The output of checks and the figures of the run are not included, because they differ between equal runs. Failure
policies and limits are not included either, because a result that passed is valid under any of them.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Identity = dict[str, str]
PARTS: Final = ("definition", "prompt", "spec", "agent", "gates", "hand-over", "package")
"""`definition`: output, context, session, blast radius, setup; `hand-over`: plan item and outputs of other steps;
`package`: the installed packages of workflows that define the step, as text."""


def hashed(value: object) -> str:
    """Return 16 hex digits, or "" for an empty value."""
    if not value:
        return ""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def portable(command: str, places: Mapping[str, str]) -> str:
    """Return the command with installation paths replaced by names."""
    for path, name in places.items():
        command = command.replace(shlex.quote(path), name).replace(path, name)
    return command


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the parts (see `PARTS`) that differ."""
    return [part for part in PARTS if then.get(part, "") != now.get(part, "")]


def changed_packages(then: str, now: str) -> str:
    """Return the packages that differ between two values of the part `package`: `package acme (1.0 to 1.1)`."""
    before, after = _packages(then), _packages(now)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(f"package {name} ({_change(before.get(name), after.get(name))})" for name in names)


def _packages(text: str) -> dict[str, tuple[str, str]]:
    """Return version and digest by name."""
    rows = (package.split(" ", 1) for package in text.split("; ") if package)
    return {name: (rest.rpartition(" ")[0], rest.rpartition(" ")[2]) for name, rest in rows}


def _change(before: tuple[str, str] | None, after: tuple[str, str] | None) -> str:
    if before is None or after is None:
        return "added" if before is None else "removed"
    return f"{before[0]} to {after[0]}" if before[0] != after[0] else f"{after[0]}, other files"
