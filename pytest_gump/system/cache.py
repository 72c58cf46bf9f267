"""The user's cache folder, and locks on folders in it that several processes use and may remove."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.locks import is_still, lock

LEASE: Final = ".lease"
_OPEN_LEASE: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def user_cache() -> Path:
    """Return `$XDG_CACHE_HOME` if it is an absolute path, otherwise `~/.cache`.

    The path is relative if the home folder is unknown.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return Path(cache if os.path.isabs(cache) else os.path.expanduser("~/.cache"))  # noqa: PTH111, PTH117 - never raise


def remote_root() -> Path:
    """Return the folder in which workers store data from controllers that share no disk with them."""
    return user_cache() / "gump" / "remote"


def hold(folder: Path) -> int:
    """Create a folder if it is missing, and protect it from `seize` until the handle is closed or this process ends.

    Raises:
        WorktreeError: The folder cannot be created.
    """
    while True:
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(folder / LEASE, _OPEN_LEASE, 0o600)
        except FileNotFoundError:  # another process removed it between the two calls
            continue
        except OSError as error:
            raise WorktreeError(f"cannot create a folder for the run in {folder}: {error.strerror}") from error
        if lock(handle, fcntl.LOCK_SH) and is_still(handle, folder / LEASE):
            os.utime(handle)
            return handle
        os.close(handle)


def seize(folder: Path) -> int | None:
    """Lock a folder exclusively until the handle is closed. Return None if another process uses it."""
    try:
        handle = os.open(folder / LEASE, _OPEN_LEASE, 0o600)
    except OSError:
        return None
    if lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB) and is_still(handle, folder / LEASE):
        return handle
    os.close(handle)
    return None


def last_used(folder: Path) -> float:
    """Return the time of the last `hold`, or of the last change if there is no lease, in seconds since the epoch."""
    lease = folder / LEASE
    return (lease if lease.exists() else folder).stat().st_mtime
