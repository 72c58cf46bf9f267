"""Where Qwen Code keeps a conversation: it finds one only from the folder that the conversation was held in."""

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


def bring(session_id: str, worktree: Path) -> None:
    """Lay a copy of a conversation where the CLI looks for it from `worktree`, for a fork to begin with.

    The conversation stays as it is. Where it cannot be found or copied, nothing is done: the CLI says that it is gone.
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
    """A copy has that of what it was made from."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _copy(source: Path, target: Path, folder: str) -> None:
    """Copy with another folder in the first record, by which the CLI tells where a conversation belongs."""
    with source.open("rb") as old:
        first = ndjson.parse_object(old.readline())
        if first is None:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, {**first, "cwd": folder}, old)


def _write(target: Path, first: ndjson.JsonObject, old: IO[bytes]) -> None:
    """Write the first record, and what follows in the old file, which also gives the time."""
    with replacing(target) as new:
        new.write(json.dumps(first).encode() + b"\n")
        shutil.copyfileobj(old, new)
        new.flush()
        seen = os.fstat(old.fileno())
        os.utime(new.fileno(), ns=(seen.st_atime_ns, seen.st_mtime_ns))
