"""Writes commits without a git process, in the same format and with the same steps as git.

Measured 2026-11-29 (`benchmarks/README.md`), for a plan item: 3.3 git processes; 5.4 and 20 % more CPU if git writes
the commits.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IDENTITY: Final = "gump <gump@localhost>"


class Identity(NamedTuple):
    """Author and committer with the time, in git's format: `Name <email> seconds zone`."""

    author: str
    committer: str

    @classmethod
    def of_gump(cls) -> Identity:
        seconds = int(time.time())
        who = f"{IDENTITY} {seconds} {time.strftime('%z', time.localtime(seconds))}"
        return cls(who, who)


def commit_text(tree: str, parents: Sequence[str], message: bytes, who: Identity | None = None) -> bytes:
    """Return the body of a commit object as `git commit-tree` writes it: header lines, an empty line, the message."""
    who = who or Identity.of_gump()
    by = f"author {who.author}", f"committer {who.committer}"
    header = [f"tree {tree}", *(f"parent {parent}" for parent in parents), *by]
    return "".join(f"{line}\n" for line in header).encode("utf-8", "surrogateescape") + b"\n" + message


def write_loose_commit(objects: Path, body: bytes, *, algorithm: str) -> str | None:
    """Store a commit in the folder `objects` and return its id; None if that fails and git must do it."""
    data = b"commit %d\0" % len(body) + body
    name = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
    folder = objects / name[:2]
    target = folder / name[2:]
    temporary = None
    try:
        if target.exists():
            return name
        folder.mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix="tmp_obj_", dir=folder)  # the prefix that `git gc` removes
        with os.fdopen(descriptor, "wb") as file:
            file.write(zlib.compress(data, 1))
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, 0o444)
        os.replace(temporary, target)  # noqa: PTH105
    except OSError:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        return None
    return name
