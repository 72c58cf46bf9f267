"""Commits on their way between repositories that share no disk: packs, as `git fetch` would make them.

A pack holds what the receiver lacks, as differences to what it has. Commits are sent without their history: the
receiver lists them in `shallow`.
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
"""Up to so many bytes, objects become files of their own: a pack for every attempt would be too many packs."""


def pack_trees(repository: Repository, wanted: Collection[str], known: Collection[str]) -> bytes:
    """Pack commits with their files and without their history, for a repository that has the `known` ones."""
    ids = [*map(commit_id, (*wanted, *known))]
    lines = [*(f"--shallow {commit}" for commit in ids), *wanted, *(f"^{commit}" for commit in known)]
    return _pack(repository, lines, "--shallow-file", "")


def pack_new(repository: Repository, wanted: Collection[str], known: Collection[str]) -> bytes:
    """Pack commits and all that led to them since the `known` ones."""
    return _pack(repository, [*map(commit_id, wanted), *(f"^{commit_id(commit)}" for commit in known)])


def _pack(repository: Repository, lines: list[str], *options: str) -> bytes:
    arguments = (*options, "pack-objects", "--revs", "--thin", "--shallow", "--delta-base-offset", "--stdout", "-q")
    return repository.objects.check(*arguments, stdin="".join(f"{line}\n" for line in lines).encode()).stdout


def unpack(repository: Repository, pack: bytes) -> None:
    """Take the objects of a pack in.

    Raises:
        WorktreeError: it is damaged, or differs from something that is not here.
    """
    arguments = ("unpack-objects", "-q") if len(pack) <= _SMALL else ("index-pack", "--stdin", "--fix-thin")
    repository.objects.check(*arguments, stdin=pack)


def open_mirror(root: Path, *, object_format: str, pack: bytes, commits: Collection[str]) -> Repository:
    """Give a repository in `root` that holds the commits of a pack, and what was sent before.

    Raises:
        WorktreeError: it cannot be made, or the pack is damaged.
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
        raise WorktreeError(f"cannot make a repository in {root}: {error.strerror}") from error
    return Repository.open(root)


def _replace(path: Path, text: str) -> None:
    """Git processes of other workers read the file meanwhile, and an empty HEAD is no repository."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try_lock(file.fileno(), fcntl.LOCK_EX)
        yield
