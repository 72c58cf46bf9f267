"""An agent CLI as an installed program: its tested versions, and where its login is stored."""

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
"""A version compared with the tested ones; `untested` if the adapter was never run with the CLI."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions that an adapter was tested with."""

    oldest: str
    newest: str
    on: str
    """Date of the last test: `2026-11-22`."""

    def __str__(self) -> str:
        return self.oldest if self.oldest == self.newest else f"{self.oldest} to {self.newest}"


@dataclass(frozen=True, slots=True)
class Login:
    """Signs of a login that can be checked without a request: variables with a key, and the file of a login."""

    keys: tuple[str, ...] = ()
    home: tuple[str, str] | None = None
    """The variable for the CLI's folder, and the default folder."""
    file: str = ""
    """Path of the login file in that folder."""

    def found(self, environment: Mapping[str, str] = os.environ) -> str | None:
        """Return the variable or the file with credentials.

        None does not mean that there is no login: keyrings and the user's own providers are not checked.
        """
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
class Sandbox:
    """The CLI's sandbox of the operating system for commands of the model."""

    probe: tuple[str, ...]
    """Arguments of the CLI that run a command in it. The exit code is 0 if it works."""
    needs: str
    """What it needs on this machine."""


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    """Name of the executable."""
    title: str
    """`Claude Code`."""
    get: str
    """How to install it: a command, or `see URL`."""
    tested: Versions | None
    """None if the adapter was written from documentation and was never run with the CLI."""
    login: Login
    sandbox: Sandbox | None = None

    def missing(self) -> str | None:
        """Return why the CLI cannot start here and what to do; None if it can start."""
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
    """Return the first version number in the output of `--version`; None if there is none."""
    found = re.search(r"\d+(?:\.\d+)+(?:-[0-9A-Za-z.]+)?", output, re.ASCII)
    return None if found is None else found[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0], re.ASCII)))
