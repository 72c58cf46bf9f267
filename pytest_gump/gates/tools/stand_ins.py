"""Finds files of a change that Python would import instead of the tools of gates."""

from __future__ import annotations

import csv
import importlib.metadata
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pytest_gump.gates.tools.environment import source_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_AT_START: Final = frozenset({"sitecustomize", "usercustomize"})
"""Modules that every Python imports by itself."""
_TOOLS: Final = ("pytest", "coverage", "ruff")
_NAME_LINE: Final = re.compile(r"^Name: *(\S+)", re.MULTILINE)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def stand_ins(added: Iterable[str], worktree: Path, read_base: Callable[[str], bytes | None]) -> list[str]:
    """Return added files with the name of pytest, of a plugin, of another gate tool, or of a module that these import.

    A name that the base already has does not count: the project may be one of these tools.
    """
    return _shadowing(added, worktree, read_base, lambda name: name in tool_modules())


def standard_stand_ins(added: Iterable[str], worktree: Path, read_base: Callable[[str], bytes | None]) -> list[str]:
    """Return the added files with the name of a module of the standard library."""
    return _shadowing(added, worktree, read_base, lambda name: name in sys.stdlib_module_names)


def second_copies(added: Iterable[str], worktree: Path, read_base: Callable[[str], bytes | None]) -> list[str]:
    """Return added files with the name of a module in another source folder: Python imports only one of the two."""

    def holds(root: Path, name: str) -> bool:
        return (root / f"{name}.py").exists() or (root / name / "__init__.py").exists()

    roots = source_roots(worktree)
    return _shadowing(added, worktree, read_base, lambda name: sum(holds(root, name) for root in roots) > 1)


def _shadowing(
    added: Iterable[str], worktree: Path, read_base: Callable[[str], bytes | None], is_taken: Callable[[str], bool]
) -> list[str]:
    roots = [root.relative_to(worktree).as_posix() for root in source_roots(worktree)]
    prefixes = ["" if root == "." else f"{root}/" for root in roots]
    found: dict[str, None] = {}
    for path in added:
        for prefix in prefixes:
            name = _module(path.removeprefix(prefix)) if path.startswith(prefix) else None
            if name is None or not is_taken(name):
                continue
            if all(read_base(f"{prefix}{name}{end}") is None for end in (".py", "/__init__.py")):
                found[path] = None
    return [*found]


def _module(path: str) -> str | None:
    """Return the top-level module that a file belongs to; None if Python cannot import it."""
    first, _, rest = path.partition("/")
    if not (rest or first).endswith((".py", ".pyc", ".so", ".pyd")):
        return None
    return first.partition(".")[0] if not rest else first


@lru_cache(maxsize=1)
def tool_modules() -> frozenset[str]:
    """Return the top-level modules of pytest, installed plugins, coverage.py and ruff, and of their requirements."""
    return _AT_START | _modules_of({*_closure([*_TOOLS, *_plugins()])})


@lru_cache(maxsize=1)
def runner_modules() -> frozenset[str]:
    """Like `tool_modules`, but without the plugins' requirements (except execnet), to have few files to compare."""
    return _AT_START | _modules_of({*_closure(["pytest"]), *_TOOLS, *_plugins(), "execnet"})


@lru_cache(maxsize=1)
def _installed() -> dict[str, list[importlib.metadata.Distribution]]:
    found: dict[str, list[importlib.metadata.Distribution]] = {}
    for distribution in importlib.metadata.distributions():
        found.setdefault(_normal(_name_of(distribution)), []).append(distribution)
    return found


def _name_of(distribution: importlib.metadata.Distribution) -> str:
    """Return the name without the cost of parsing the rest of the metadata."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found = _NAME_LINE.search(text)
    return found[1] if found else ""


def _plugins() -> list[str]:
    return [name for name, found in _installed().items() if any(map(_is_plugin, found))]


def _is_plugin(distribution: importlib.metadata.Distribution) -> bool:
    return "[pytest11]" in (distribution.read_text("entry_points.txt") or "")


def _closure(names: list[str]) -> set[str]:
    needed: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in _installed() and name not in needed:
            needed.add(name)
            waiting += [required for distribution in _installed()[name] for required in _required(distribution)]
    return needed


def _modules_of(names: set[str]) -> frozenset[str]:
    found = (distribution for name in names for distribution in _installed().get(name, ()))
    return frozenset(module for distribution in found for module in _modules_in(distribution) if module.isidentifier())


def _modules_in(distribution: importlib.metadata.Distribution) -> set[str]:
    """Return the top-level modules of one distribution. (`packages_distributions` would read all distributions.)"""
    if declared := (distribution.read_text("top_level.txt") or "").split():
        return {*declared}
    record = distribution.read_text("RECORD")
    rows = csv.reader((record or "").splitlines())
    files = map(str, distribution.files or ()) if record is None else (row[0] for row in rows if row)
    return {file.partition("/")[0].removesuffix(".py") for file in files if file.endswith(".py")}


def _required(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    for requirement in distribution.requires or ():
        if "extra ==" not in requirement and (found := _NAME.match(requirement)):
            yield _normal(found[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
