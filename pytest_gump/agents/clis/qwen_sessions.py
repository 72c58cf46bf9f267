"""Copies conversations of Qwen Code to another worktree: the CLI finds one only from the folder it was held in."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import IO, Final

from pytest_gump.agents.streams import ndjson
from pytest_gump.system.files import replacing

_ID: Final = re.compile(r"[0-9a-fA-F-]{32,36}", re.ASCII)
_ODD: Final = re.compile(r"[^a-zA-Z0-9]")


def copy_conversation(session_id: str, worktree: Path) -> None:
    """Copy a conversation to where the CLI looks for it from `worktree`, so that a fork can start with it.

    The original does not change. If it cannot be found or copied, nothing is raised: the CLI reports it as missing.
    """
    if _ID.fullmatch(session_id) is None:
        return
    projects, name = _home() / "projects", f"{session_id}.jsonl"
    here = projects / _ODD.sub("-", str(worktree.resolve())) / "chats" / name
    with contextlib.suppress(OSError):
        newest = max(projects.glob(f"*/chats/{name}"), key=_age, default=here)
        if newest != here and _age(newest) != _age(here):
            _copy(newest, here, str(worktree.resolve()))


def _home() -> Path:
    return Path(os.environ.get("QWEN_HOME") or Path.home() / ".qwen").expanduser()


def _age(path: Path) -> int:
    """Return the modification time, which a copy shares with its source; 0 if there is no file."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _copy(source: Path, target: Path, folder: str) -> None:
    """Copy a conversation and change the folder in its first record, where the CLI looks for it."""
    with source.open("rb") as old:
        first = ndjson.parse_object(old.readline())
        if first is None:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, {**first, "cwd": folder}, old)


def _write(target: Path, first: ndjson.JsonObject, old: IO[bytes]) -> None:
    """Write the first record and the rest of the old file, with the times of the old file."""
    with replacing(target) as new:
        new.write(json.dumps(first).encode() + b"\n")
        shutil.copyfileobj(old, new)
        new.flush()
        seen = os.fstat(old.fileno())
        os.utime(new.fileno(), ns=(seen.st_atime_ns, seen.st_mtime_ns))
