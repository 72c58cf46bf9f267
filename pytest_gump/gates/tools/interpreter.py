"""Records the state of the Python that runs the gates, because a change of it would affect every later gate."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import site
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_gump.gates.tools.stand_ins import runner_modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INSTALLED: Final = ("site-packages", "dist-packages")
_CUSTOMIZE: Final = ("sitecustomize", "usercustomize")
_WORD: Final = re.compile(r"(?:^|&&|\|\||;|\|)\s*(?:\w+=\S*\s+)*([\w.+-]+)(?=\s|$)")
_MISSING: Final = "missing"
_PLUGIN: Final = b"[pytest11]"

_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Files that decide how gates run, each with a stamp that no program can forge.

    All fields have built-in types only, so that they can be sent to an executor.
    """

    files: dict[str, _Stamp]
    folders: dict[str, _Stamp]
    """The folders of these files; a new file changes the stamp."""
    tools: dict[str, str] = field(default_factory=dict)
    """Program names in gate commands, and the paths that PATH gives for them."""
    distributions: dict[str, str] = field(default_factory=dict)
    """Metadata folders, and the digest of their list of files (RECORD)."""

    @classmethod
    def now(cls, commands: Iterable[str]) -> Interpreter:
        """Record the state for this process's Python and PATH."""
        tools = {name: shutil.which(name) or _MISSING for name in sorted(_programs(commands))}
        deciding = _Deciding()
        paths = dict.fromkeys([*deciding.files, *_chain(sys.executable), *tools.values()])
        return cls(
            files={path: _stamp(path) for path in paths if path != _MISSING},
            folders={path: _stamp(path) for path in deciding.folders},
            tools=tools,
            distributions={path: _digest(f"{path}/RECORD") for path in _distributions()},
        )

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Interpreter:
        files, folders = ({path: tuple(stamp) for path, stamp in wire[name].items()} for name in ("files", "folders"))
        return cls(files, folders, dict(wire["tools"]), dict(wire["distributions"]))

    def changes(self) -> Changes:
        """Return the changes since the state was recorded. Takes a few milliseconds if there are none."""
        changed = [path for path, known in self.files.items() if _stamp(path) != known and not self._is_intact(path)]
        moved = [name for name, known in self.tools.items() if (shutil.which(name) or _MISSING) != known]
        if all(_stamp(path) == known for path, known in self.folders.items()):
            return Changes((*changed, *moved))
        new = [path for path in _Deciding().files if path not in self.files and "__pycache__" not in path]
        installed = [path for path in _distributions() if path not in self.distributions]
        plugins = [path for path in installed if _PLUGIN in _read(f"{path}/entry_points.txt")]
        others = tuple(path for path in installed if path not in plugins)
        return Changes((*changed, *moved, *sorted({*new, *plugins})), others)

    def _is_intact(self, path: str) -> bool:
        """True if the file has the content that an unchanged RECORD lists: a new link to a file changes its stamp."""
        for metadata, digest in self.distributions.items():
            name = path.removeprefix(f"{os.path.dirname(metadata)}/")  # noqa: PTH120
            record = _read(f"{metadata}/RECORD") if name != path else b""
            if os.fsencode(f"{name},sha256={_digest(path)},") in record:
                return _digest(f"{metadata}/RECORD") == digest
        return False


class Changes(NamedTuple):
    deciding: tuple[str, ...]
    """New or changed files that can affect a gate, and programs that PATH now finds elsewhere."""
    installed: tuple[str, ...] = ()
    """Metadata folders of distributions that were installed since the start and that no gate needs."""


def _programs(commands: Iterable[str]) -> set[str]:
    return {"bash", *(word for command in commands for word in _WORD.findall(command))}


def _chain(path: str) -> Iterator[str]:
    """Yield the `pyvenv.cfg` of a virtual environment, the interpreter, and each link on the way to it."""
    yield str(Path(path).parent.parent / "pyvenv.cfg")
    for _ in range(40):
        yield path
        if not os.path.islink(path):  # noqa: PTH114
            return
        path = os.path.join(os.path.dirname(path), os.readlink(path))  # noqa: PTH115, PTH118, PTH120


def _site_folders() -> list[str]:
    found = [path for path in sys.path if any(f"{os.sep}{name}" in path for name in _INSTALLED)]
    return [*dict.fromkeys([*found, *site.getsitepackages(), site.getusersitepackages()])]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


class _Deciding:
    """Files that Python runs at its start, and those of pytest, its plugins and the other tools that gates use."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.folders: list[str] = []
        standard = sysconfig.get_path("stdlib")
        for folder in (standard, *_site_folders()):
            self.folders.append(folder)
            for name in _names(folder):
                module = name.partition(".")[0]
                is_tool = folder != standard and module in runner_modules()
                if name.endswith(".pth") or module in _CUSTOMIZE or is_tool:
                    self._add(f"{folder}/{name}")

    def _add(self, path: str) -> None:
        if not os.path.isdir(path):  # noqa: PTH112
            self.files.append(path)
        elif not path.endswith((".dist-info", ".egg-info")):
            waiting = [path]
            while waiting:
                self.folders.append(waiting[-1])
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        (waiting if entry.is_dir(follow_symlinks=False) else self.files).append(entry.path)


def _distributions() -> Iterator[str]:
    for folder in _site_folders():
        yield from (f"{folder}/{name}" for name in _names(folder) if name.endswith((".dist-info", ".egg-info")))


def _stamp(path: str) -> _Stamp:
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(path: str) -> str:
    """Return the SHA-256 of a file, in the form of RECORD files."""
    return base64.urlsafe_b64encode(hashlib.sha256(_read(path)).digest()).rstrip(b"=").decode()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""
