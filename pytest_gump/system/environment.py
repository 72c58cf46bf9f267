"""The environment of agents and gates. It contains only listed variables."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES: Final = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
ALLOWED: Final = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ", "VIRTUAL_ENV", *_CERTIFICATES}
    | {*_PROXIES, *(name.lower() for name in _PROXIES)}
)


def home() -> Path | None:
    """Return the user's home folder from `$HOME`; None if it is not set."""
    text = os.environ.get("HOME")
    return Path(text) if text else None


def child_environment(
    names: Iterable[str] = (),
    extra: Mapping[str, str] = MappingProxyType({}),
    *,
    source: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment of a child process.

    Args:
        names: Variables to pass in addition to `ALLOWED` and `LC_*`, if they are set.
        extra: Variables that are added last and take precedence.
        source: The environment to select from; by default, that of this process.
    """
    present = os.environ if source is None else source
    passed = ALLOWED | frozenset(names)
    kept = {name: value for name, value in present.items() if name in passed or name.startswith("LC_")}
    return kept | dict(extra)


def checkout_around(folder: Path) -> Path | None:
    """Return the root of the git checkout that contains a folder, without calling git; None if there is none."""
    return next((parent for parent in (folder, *folder.parents) if _has_git(parent / ".git")), None)


def _has_git(git: Path) -> bool:
    """Return False for an empty `.git` folder, as git does: some programs leave one in `/tmp`."""
    return git.is_file() or (git / "HEAD").exists() or (git / "HEAD").is_symlink()
