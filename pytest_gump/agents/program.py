"""What is known of an agent CLI as an installed program: versions that were tried, and where its login lies."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Standing = Literal["tested", "newer", "older", "untested", "unknown"]
"""Of a version to the tested ones; `untested` where the adapter has never met the CLI."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions that an adapter was tried with, and when."""

    oldest: str
    newest: str
    on: str
    """Date of the last try, `2026-11-22`."""

    def __str__(self) -> str:
        return self.oldest if self.oldest == self.newest else f"{self.oldest} to {self.newest}"


@dataclass(frozen=True, slots=True)
class Login:
    """What can be looked at without a request: variables with a key, and the file that logging in writes."""

    keys: tuple[str, ...] = ()
    home: tuple[str, str] | None = None
    """A variable that names the CLI's folder, and the folder without it."""
    file: str = ""
    """Below that folder."""

    def found(self, environment: Mapping[str, str] = os.environ) -> str | None:
        """Where a key or credentials lie; None says nothing: a keyring, or a provider of one's own, is not seen."""
        named = [name for name in self.keys if environment.get(name)]
        if named:
            return named[0]
        if self.home is None:
            return None
        variable, folder = self.home
        path = os.path.join(environment.get(variable) or folder, self.file)  # noqa: PTH118 - shown as it is written
        home = environment.get("HOME", "")
        file = Path(home, path[2:]) if path.startswith("~/") else Path(path)
        return path if file.is_file() else None


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    """On PATH."""
    title: str
    """`Claude Code`."""
    get: str
    """How to get it: a command, or `see ADDRESS`."""
    tested: Versions | None
    """None: the adapter was written from documentation, and has never met the CLI."""
    login: Login

    def missing(self) -> str | None:
        """Why it cannot start here, with what to do; None when it can."""
        return None if shutil.which(self.name) else f"{self.name} ({self.title}) is not on PATH; {self.get}"

    def standing(self, version: str | None) -> Standing:
        if self.tested is None:
            return "untested"
        if version is None:
            return "unknown"
        if _numbers(version) < _numbers(self.tested.oldest):
            return "older"
        return "newer" if _numbers(version) > _numbers(self.tested.newest) else "tested"


def read_version(output: str) -> str | None:
    """The first thing that looks like a version in what `--version` printed."""
    found = re.search(r"\d+(?:\.\d+)+(?:-[0-9A-Za-z.]+)?", output, re.ASCII)
    return None if found is None else found[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0], re.ASCII)))
