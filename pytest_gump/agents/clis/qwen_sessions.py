"""Files of Qwen Code's conversations: copies for other worktrees, and the last error of the model's service.

The CLI finds a conversation only from the folder in which it was held.
"""

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
_TAIL: Final = 64 * 1024
"""Bytes at the end of a conversation's file that contain its last record."""


def copy_conversation(session_id: str, worktree: Path) -> None:
    """Copy a conversation to where the CLI looks for it from `worktree`, so that a fork can start with it.

    The original does not change. If it cannot be found or copied, nothing is raised: the CLI reports it as missing.
    """
    if _ID.fullmatch(session_id) is None:
        return
    projects, name = _home() / "projects", f"{session_id}.jsonl"
    here = _place(session_id, worktree)
    with contextlib.suppress(OSError):
        newest = max(projects.glob(f"*/chats/{name}"), key=_age, default=here)
        if newest != here and _age(newest) != _age(here):
            _copy(newest, here, str(worktree.resolve()))


def api_error(session_id: str, worktree: Path) -> ndjson.JsonObject | None:
    """Return the error with which a request failed, if it is the last record of a conversation; otherwise None.

    It has `status_code` and `error_message`. While the CLI waits before it repeats the request, it prints nothing.
    """
    if _ID.fullmatch(session_id) is None:
        return None
    try:
        with _place(session_id, worktree).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return None
    record = (ndjson.parse_object(lines[-1]) if lines else None) or {}
    event = ndjson.section(ndjson.section(record, "systemPayload"), "uiEvent")
    return event if event.get("event.name") == "qwen-code.api_error" else None


def _place(session_id: str, worktree: Path) -> Path:
    return _home() / "projects" / _ODD.sub("-", str(worktree.resolve())) / "chats" / f"{session_id}.jsonl"


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
