"""Installed packages of workflows: the folders that the entry points of the group `pytest_gump.workflows` name.

```toml
[project.entry-points."pytest_gump.workflows"]
acme = "acme_workflows.flows"
```

The value is a folder of YAML files, written like a module. No code of the package runs.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import ConfigError, reason_of, suggest
from pytest_gump.text import quoted
from pytest_gump.workflow.model import Package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

GROUP: Final = "pytest_gump.workflows"
_DIGITS: Final = 12


def find_package(name: str) -> Package:
    """Return the installed package with a name.

    Raises:
        ConfigError: There is none, or several, or its folder does not exist.
    """
    points = entry_points(group=GROUP)
    named = [point for point in points if point.name == name]
    if not named:
        known = sorted(points.names)
        hint = suggest(
            name, known, f"installed: {', '.join(known) or 'none'}; the path of a file ends in .yaml or .yml"
        )
        raise ConfigError(f"no package of workflows {name!r} is installed", hint=hint)
    return _installed(_only(named))


def list_packages() -> list[Package]:
    """Return all installed packages, sorted by name.

    Raises:
        ConfigError: Two packages have the same name, or a folder does not exist.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return [_installed(_only([*named])) for _, named in groupby(points, key=lambda point: point.name)]


def _only(named: list[EntryPoint]) -> EntryPoint:
    if len(named) > 1:
        packages = " and ".join(sorted(map(_distribution, named)))
        what = f"two installed packages have the name {named[0].name!r}: {packages}"
        raise ConfigError(what, hint="uninstall one of them")
    return named[0]


def _distribution(point: EntryPoint) -> str:
    return "unknown" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _installed(point: EntryPoint) -> Package:
    package = f"package {quoted(point.name)} ({_distribution(point)})"
    folder = _folder(point)
    if folder is None:
        what = f"{package} has no folder {quoted(point.value)}"
        hint = f"its entry point in the group {GROUP} must name a folder of YAML files, like a module"
        raise ConfigError(what, hint=hint)
    version = "" if point.dist is None else point.dist.version
    try:
        return Package(point.name, version, _digest(folder), folder)
    except OSError as error:
        raise ConfigError(f"{package} cannot be read: {reason_of(error)}") from error


def _folder(point: EntryPoint) -> Path | None:
    """Return the folder of an entry point; None if its value does not name one."""
    top, *below = point.value.strip().split(".")
    if not all(part.isidentifier() for part in (top, *below)):
        return None
    folders = (Path(location, *below) for location in _locations(top, point))
    return next((folder for folder in folders if folder.is_dir()), None)


def _locations(top: str, point: EntryPoint) -> Iterator[str]:
    """Yield the place beside the metadata, and where Python finds the module, as for an editable package.

    The project is often on `sys.path` too. A folder there with the same name does not replace an installed package.
    """
    if point.dist is not None:
        yield str(point.dist.locate_file(top))
    with suppress(ImportError, ValueError):
        spec = find_spec(top)  # imports nothing for a name without dots
        yield from (spec.submodule_search_locations if spec is not None else None) or ()


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(folder):
        content = path.read_bytes()
        digest.update(os.fsencode(path.relative_to(folder)) + f"\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_DIGITS]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
