"""What a cassette must not hold: secrets, and paths that mean something on one machine only."""

from __future__ import annotations

import json
import os
import re
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pytest_gump.agents.cassettes.cassette import HOME, WORKTREE
from pytest_gump.system.written import Span, masked, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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
"""Keys and tokens that can be told by their form, whosesoever they are."""


class Redaction:
    """For one attempt. A secret becomes as many asterisks: what is counted in characters stays as it was."""

    def __init__(self, secrets: Iterable[str], *, worktree: Path, home: str | None = None) -> None:
        self._secrets = [written(one) for one in sorted(secrets, key=len, reverse=True) if one]
        """The longest first, because one secret may begin with another."""
        self._places = list(_places(worktree, os.environ.get("HOME", "") if home is None else home))

    def clean(self, text: bytes) -> bytes:
        """Without secrets, and with paths as the player puts them in again."""
        for place, stand_in in self._places:
            text = place.sub(stand_in, text)
        return self.mask(text)

    def mask(self, text: bytes) -> bytes:
        for secret in self._secrets:
            parts, end = masked(text, secret.spans(text), len(text), partial(_asterisks, len(secret.text)))
            text = b"".join(parts) + text[end:]
        return TOKENS.sub(lambda match: b"*" * len(match[0]), text)

    def holds_secret(self, text: bytes) -> bool:
        return any(secret.is_in(text) for secret in self._secrets)


def _asterisks(length: int, span: Span) -> bytes:
    return b"*" * (span.end - span.start if span.is_encoded else length)


def _forms(text: str) -> Iterator[bytes]:
    """As it is, as JSON writes it, and as part of an address."""
    yield os.fsencode(text)
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogateescape")
    yield quote(text, safe="", errors="surrogateescape").encode()


def _alternatives(forms: Iterable[bytes]) -> re.Pattern[bytes] | None:
    """The longest first, because one secret may begin with another."""
    words = sorted({form for form in forms if form}, key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, words))) if words else None


def _places(worktree: Path, home: str) -> Iterator[tuple[re.Pattern[bytes], bytes]]:
    for place in sorted({str(worktree), os.path.realpath(worktree)}, key=len, reverse=True):
        forms = _alternatives(_forms(place))
        if forms is not None:
            yield forms, WORKTREE.encode()
        # Claude Code names a folder in the user's home like this.
        yield re.compile(re.escape(re.sub(r"[^A-Za-z0-9]", "-", place).encode())), b"-worktree-"
    for place in sorted({home.rstrip("/"), os.path.realpath(home or "/")}, key=len, reverse=True):
        if place.startswith("/") and len(place) >= _SHORTEST_HOME:
            alternatives = b"|".join({re.escape(form): None for form in _forms(place)})
            yield re.compile(rb"(?<![\w.-])(?:" + alternatives + rb")(?![\w.-])"), HOME.encode()
