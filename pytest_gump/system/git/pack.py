"""Packs that transfer commits between repositories that share no disk, in the format of `git fetch`.

A pack contains the objects that the receiver does not have, as differences to those that it has. Commits are sent
without their history. The receiver lists them in `shallow`.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.files import replacing
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.git.runner import GitRunner, commit_id, failure
from pytest_gump.system.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_SMALL: Final = 1 << 20
"""Size in bytes up to which objects are stored as single files, to avoid one pack file for every attempt."""


def pack_trees(repository: Repository, wanted: Collection[str], known: Collection[str]) -> bytes:
    """Pack commits with their files but without their history, for a repository that has the `known` commits."""
    ids = [*map(commit_id, (*wanted, *known))]
    lines = [*(f"--shallow {commit}" for commit in ids), *wanted, *(f"^{commit}" for commit in known)]
    return _pack(repository, lines, "--shallow-file", "")


def pack_new(repository: Repository, wanted: Collection[str], known: Collection[str]) -> bytes:
    """Pack commits and their history since the `known` commits."""
    return _pack(repository, [*map(commit_id, wanted), *(f"^{commit_id(commit)}" for commit in known)])


def _pack(repository: Repository, lines: list[str], *options: str) -> bytes:
    arguments = (*options, "pack-objects", "--revs", "--thin", "--shallow", "--delta-base-offset", "--stdout", "-q")
    return repository.objects.check(*arguments, stdin="".join(f"{line}\n" for line in lines).encode()).stdout


def unpack(repository: Repository, pack: bytes) -> None:
    """Store the objects of a pack.

    Raises:
        WorktreeError: The pack is damaged, or needs objects that this repository does not have.
    """
    arguments = ("unpack-objects", "-q") if len(pack) <= _SMALL else ("index-pack", "--stdin", "--fix-thin")
    repository.objects.check(*arguments, stdin=pack)


def open_mirror(root: Path, *, object_format: str, pack: bytes, commits: Collection[str]) -> Repository:
    """Return the repository in `root`, created if missing, after storing the commits of a pack in it.

    Raises:
        WorktreeError: The repository cannot be created, or the pack is damaged.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / ".lock"):
            git = root / ".git"
            if not (git / "objects").is_dir():
                result = GitRunner("-C", str(root)).run("init", "--quiet", f"--object-format={object_format}")
                if result.status:
                    raise failure("init", result)
            here = Repository(root, git, git)
            if pack:
                unpack(here, pack)
            shallow = git / "shallow"
            known = set(shallow.read_text().split()) if shallow.exists() else set()
            _replace(shallow, "".join(f"{commit}\n" for commit in sorted(known | {*commits})))
            if commits:
                _replace(git / "HEAD", f"{next(iter(commits))}\n")
    except OSError as error:
        raise WorktreeError(f"cannot create a repository in {root}: {error.strerror}") from error
    return Repository.open(root)


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically: git processes of other workers may read it, and an empty HEAD is invalid."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try_lock(file.fileno(), fcntl.LOCK_EX)
        yield
