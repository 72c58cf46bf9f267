"""Removes secrets and machine-specific paths from recordings."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pytest_gump.agents.cassettes.cassette import HOME, WORKTREE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.system.secrets import Secrets

_SHORTEST_HOME: Final = 4

TOKENS: Final = re.compile(
    rb"(?<![A-Za-z0-9])(?:"
    rb"sk-[A-Za-z0-9_-]{20,}"  # Anthropic, OpenAI and many others
    rb"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    rb"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}"
    rb"|xox[abeprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}"
    rb"|AKIA[0-9A-Z]{16}"
    rb"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"  # JSON web token
    rb"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"
    rb")"
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    re.DOTALL,
)
"""Keys and tokens that are recognized by their form."""


class Redaction:
    """Removes secrets and local paths from the files of one attempt."""

    def __init__(self, secrets: Secrets, *, worktree: Path, home: str | None = None) -> None:
        self._secrets = secrets
        self._paths = list(_paths(worktree, os.environ.get("HOME", "") if home is None else home))

    def clean(self, text: bytes) -> bytes:
        """Return the text without secrets, and with placeholders for the paths that the player inserts."""
        for path, stand_in in self._paths:
            text = path.sub(stand_in, text)
        return TOKENS.sub(lambda match: b"*" * len(match[0]), self._secrets.star(text))


def _forms(text: str) -> Iterator[bytes]:
    """Yield the text as it is, as a JSON string, and as part of a URL."""
    yield os.fsencode(text)
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogateescape")
    yield quote(text, safe="", errors="surrogateescape").encode()


def _any_form(text: str) -> bytes:
    """Return a pattern for all forms, the longest first because one may be the start of another."""
    return b"|".join(map(re.escape, sorted({*_forms(text)}, key=len, reverse=True)))


def _paths(worktree: Path, home: str) -> Iterator[tuple[re.Pattern[bytes], bytes]]:
    for path in sorted({str(worktree), os.path.realpath(worktree)}, key=len, reverse=True):
        yield re.compile(_any_form(path)), WORKTREE.encode()
        # Claude Code names a folder in the user's home like this.
        yield re.compile(re.escape(re.sub(r"[^A-Za-z0-9]", "-", path).encode())), b"-worktree-"
    for path in sorted({home.rstrip("/"), os.path.realpath(home or "/")}, key=len, reverse=True):
        if path.startswith("/") and len(path) >= _SHORTEST_HOME:
            yield re.compile(rb"(?<![\w.-])(?:" + _any_form(path) + rb")(?![\w.-])"), HOME.encode()
