"""Differences between two commits: names, line counts and patches."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pytest_gump.system import files
from pytest_gump.system.git.runner import TEXT_LIMIT_BYTES, commit_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from pytest_gump.system.git.runner import GitRunner

Status = Literal["added", "modified", "deleted", "type"]
_STATUS: Final[Mapping[str, Status]] = {"A": "added", "M": "modified", "D": "deleted", "T": "type"}
_COMPARE: Final = ("diff-tree", "-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
_LIST: Final = ("-z", "--raw", "--numstat")
_PATCH: Final = ("-p", "--full-index", "--src-prefix=a/", "--dst-prefix=b/")
_END_OF_LIST: Final = b"\0\0"
"""Separates the list from the patch. It cannot occur earlier, because no name in the list is empty."""


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file that differs between two trees. `path` is relative to the root, `/`-separated."""

    path: str
    status: Status
    added: int | None = None
    """Number of lines; None for binary files and files over 1 MiB."""
    removed: int | None = None


class Difference(NamedTuple):
    change: ChangedFile
    blobs: tuple[str, ...]


def write_diff(git: GitRunner, old: str, new: str, out: Path) -> tuple[Difference, ...]:
    """Write a patch for `git apply --binary`, and return the files that differ.

    For each file over 1 MiB, a line with its size precedes the patch, which does not contain the file. One git command
    is enough, unless some files are binary or large, because then their sizes are needed.
    """
    with tempfile.TemporaryFile(dir=out.parent) as found:
        git.check(*_COMPARE, *_LIST, *_PATCH, commit_id(old), commit_id(new), output=found)
        entries, patch_at = _split(found)
        if all(entry.change.added is not None for entry in entries):
            with files.create(out) as file:
                found.seek(patch_at)
                shutil.copyfileobj(found, file)
            return entries
    large = _large_files(git, entries)
    with files.create(out) as file:
        for path, size in large.items():
            file.write(f"# {path!r}: too large to show ({size} bytes)\n".encode("utf-8", "replace"))
        file.flush()
        specs = [":(top)", *(f":(top,exclude,literal){path}" for path in large)]
        git.check(*_COMPARE, *_PATCH, "--binary", commit_id(old), commit_id(new), "--", *specs, output=file)
    return entries


def _split(found: IO[bytes]) -> tuple[tuple[Difference, ...], int]:
    """Return the differences listed at the start of the output, and the position of the patch after the list."""
    if not os.fstat(found.fileno()).st_size:  # the trees differ only in empty folders
        return (), 0
    with mmap.mmap(found.fileno(), 0, access=mmap.ACCESS_READ) as text:
        end = text.find(_END_OF_LIST)
        return _entries(text[:end].split(b"\0")), end + len(_END_OF_LIST)


def write_patch(git: GitRunner, old: str, new: str, out: Path) -> None:
    """Write a patch for `git apply --binary` that includes files of any size."""
    with files.create(out) as file:
        git.check(*_COMPARE, *_PATCH, "--binary", commit_id(old), commit_id(new), output=file)


def compare(git: GitRunner, old: str, new: str) -> tuple[Difference, ...]:
    return _entries(git.check(*_COMPARE, *_LIST, commit_id(old), commit_id(new)).stdout.split(b"\0")[:-1])


def _entries(listed: Iterable[bytes]) -> tuple[Difference, ...]:
    fields = map(os.fsdecode, listed)
    raw = []
    counts = {}
    for field in fields:
        if field.startswith(":"):
            _, _, before, after, status = field.split(" ")
            blobs = tuple(blob for blob in (before, after) if blob.strip("0"))
            raw.append((next(fields), _STATUS.get(status[0], "modified"), blobs))
        else:
            added, removed, path = field.split("\t", 2)
            counts[path] = (_count(added), _count(removed))
    return tuple(
        Difference(ChangedFile(path, status, *counts.get(path, (None, None))), blobs) for path, status, blobs in raw
    )


def _count(field: str) -> int | None:
    return None if field == "-" else int(field)


def _large_files(git: GitRunner, entries: Sequence[Difference]) -> dict[str, int]:
    """Return the sizes of files that are too large for a patch. Only files without line counts can be too large."""
    wanted = [entry for entry in entries if entry.change.added is None]
    if not wanted:
        return {}
    asked = "".join(f"{blob}\n" for entry in wanted for blob in entry.blobs)
    answers = iter(git.check("cat-file", "--batch-check=%(objectsize)", stdin=asked.encode()).stdout.split(b"\n"))
    sizes = {entry.change.path: max(_sizes(answers, len(entry.blobs))) for entry in wanted}
    return {path: size for path, size in sizes.items() if size > TEXT_LIMIT_BYTES}


def _sizes(answers: Iterator[bytes], count: int) -> list[int]:
    found = [next(answers) for _ in range(count)]
    return [int(answer) if answer.isdigit() else 0 for answer in found]
