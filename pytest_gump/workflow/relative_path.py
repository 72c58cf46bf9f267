"""Checks paths that a workflow may name: relative ones that stay below their folder."""

from __future__ import annotations

from pathlib import PurePosixPath


def path_error(written: str) -> str | None:
    """Return why a relative path is not allowed; None if it is."""
    if "\x00" in written:
        return "contains a NUL character"
    if PurePosixPath(written).is_absolute() or written.startswith("~"):
        return "must be relative"
    if ".." in written.replace("\\", "/").split("/"):
        return "must not contain '..'"
    return None
