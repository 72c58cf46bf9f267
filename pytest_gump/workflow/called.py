"""Loads the workflows that a workflow calls, each file once. Refuses circles of calls, and calls nested too deep."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import ConfigError, WorkflowError
from pytest_gump.text import quoted
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES, exists, find_workflow, workflow_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.workflow.find import Found
    from pytest_gump.workflow.loaded import Loaded

MAX_DEPTH: Final = 8
"""How deep calls may be nested."""

Chain = tuple["Found", ...]
"""The files from the workflow of the run to the one that calls."""


class CalledWorkflows:
    def __init__(
        self, load: Callable[[Found, Chain, Mapping[str, str], bool], Loaded], *, project: Path, home: Path | None
    ) -> None:
        self._load = load
        self._project, self._home = project, home
        self._found: dict[tuple[Path | None, str], Found] = {}
        self._loaded: dict[tuple[object, ...], Loaded | WorkflowError] = {}
        self._agents: dict[Path | str, tuple[str, ...]] = {}
        """The inputs of a file that are agents of its steps."""

    def load(self, name: str, chain: Chain, given: Mapping[str, str], *, in_foreach: bool) -> Loaded:
        """Return the workflow that the last file of the chain calls by this name, with these inputs.

        Raises:
            ConfigError: There is no such workflow, or it must not be called here.
            WorkflowError: The called file has mistakes.
        """
        found = self._find(name, chain[-1])
        self._refuse_circle(found, chain)
        loaded = self._loaded.get(self._key(found, given, in_foreach=in_foreach))
        if loaded is None:
            loaded = self._loaded_with(found, chain, given, in_foreach=in_foreach)
            self._loaded[self._key(found, given, in_foreach=in_foreach)] = loaded
        if isinstance(loaded, WorkflowError):
            raise loaded
        self._refuse_depth(len(chain) + loaded.depth, (*chain, found))
        return loaded

    def _loaded_with(
        self, found: Found, chain: Chain, given: Mapping[str, str], *, in_foreach: bool
    ) -> Loaded | WorkflowError:
        try:
            loaded = self._load(found, chain, given, in_foreach)
        except WorkflowError as error:
            return error
        self._agents[identity(found)] = loaded.agent_inputs
        return loaded

    def _key(self, found: Found, given: Mapping[str, str], *, in_foreach: bool) -> tuple[object, ...]:
        own = identity(found)
        return own, in_foreach, *(given.get(name) for name in self._agents.get(own, ()))

    def _find(self, name: str, caller: Found) -> Found:
        key = caller.path, name
        if key not in self._found:
            self._found[key] = find_called(name, caller, self._project, self._home)
        return self._found[key]

    def _refuse_circle(self, found: Found, chain: Chain) -> None:
        own = identity(found)
        before = [identity(other) for other in chain]
        if own in before:
            circle = " -> ".join(other.name for other in (*chain[before.index(own) :], found))
            raise ConfigError(f"workflow {quoted(found.name)} calls itself: {circle}", hint="remove one of the calls")
        self._refuse_depth(len(chain), (*chain, found))

    def _refuse_depth(self, depth: int, chain: Chain) -> None:
        if depth > MAX_DEPTH:
            names = " -> ".join(found.name for found in chain)
            raise ConfigError(f"calls are nested {depth} deep, and at most {MAX_DEPTH} are allowed: {names}")


def identity(found: Found) -> Path | str:
    """Return what distinguishes a workflow file from others."""
    return found.name if found.path is None else found.path.resolve()


def find_called(name: str, caller: Found, project: Path, home: Path | None) -> Found:
    """Find a workflow that a file calls: by name, as PACKAGE/NAME, or by a path relative to the file.

    Raises:
        ConfigError: There is none, or it is outside of the places where workflows may be.
    """
    found = _beside(name, caller) if name.endswith(WORKFLOW_SUFFIXES) else find_workflow(name, project, home)
    if found.path is not None and found.source in {"file", "project"}:
        _refuse_outside(name, found.path, caller, project, home)
    return found


def _beside(name: str, caller: Found) -> Found:
    if name.startswith(("/", "~")):
        raise ConfigError(f"workflow file {quoted(name)} must be relative", hint="the path is relative to this file")
    if caller.path is None or "\x00" in name or not exists(path := caller.path.parent / name):
        raise ConfigError(f"workflow file {quoted(name)} does not exist", hint="the path is relative to this file")
    found, package = workflow_file(path), caller.package
    is_packaged = package is not None and Path(os.path.normpath(path)).is_relative_to(package.folder)
    return found._replace(source="package", package=package) if is_packaged else found


def _refuse_outside(name: str, path: Path, caller: Found, project: Path, home: Path | None) -> None:
    folders = [project]
    if home is not None:
        folders.append(home / ".gump")
    if caller.path is not None:
        folders.append(caller.path.parent)
    if not any(_is_below(path, folder) for folder in folders):
        what = f"workflow file {quoted(name)} is outside of the project and of ~/.gump"
        raise ConfigError(what, hint="copy it into .gump/workflows, or install it as a package")


def _is_below(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False
