"""Where Gemini CLI keeps a conversation: it forks no session by its id, but begins with a file of one."""

from __future__ import annotations

import json
import os
from pathlib import Path

_SHORT = 8
"""As many characters of an id stand in the name of a file."""


def session_file(session_id: str) -> Path:
    """The file of a session; the name of one that is not there, for the CLI to say so, when there is none.

    A session that was resumed has a second file, begun then: the first holds all of it.
    """
    chats = _home() / ".gemini" / "tmp"
    short = session_id[:_SHORT]
    found = [path for path in chats.glob("*/chats/session-*.jsonl") if path.stem.endswith(f"-{short}")]
    mine = [path for path in found if _holds(path, session_id)]
    return max(mine, key=lambda path: path.stat().st_size, default=chats / f"session-{short}.jsonl")


def _home() -> Path:
    return Path(os.environ.get("GEMINI_CLI_HOME") or Path.home())


def _holds(path: Path, session_id: str) -> bool:
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and first.get("sessionId") == session_id
