"""The folder of a run: `.gump/runs/<run-id>/`."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.ledger import DAMAGED
from pytest_gump.engine.record.run_id import by_time
from pytest_gump.errors import RunError, nearest, reason_of
from pytest_gump.system.directory import Directory
from pytest_gump.system.locks import lock
from pytest_gump.system.private_folder import close_to_others, own_folder, remove_special
from pytest_gump.text import listed
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

RUNS = Path(".gump") / "runs"
NAMED = 3
"""Number of runs listed in a message."""
PROBED_S = 1.0
"""Seconds to wait for a lock that another process may hold only to test it, or for a short command."""

_UNWRITABLE = "gump keeps its runs there; check the permissions and the free disk space"


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


class RunFolder:
    """Paths of one run, and the files that are written once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: dict[str, bytes] = {}
        """Contents of the files that a run writes at its start, for `restore`."""

    @classmethod
    def create(cls, project: Path, run_id: str) -> RunFolder:
        """Create the folder. `.gump/runs` gets its own `.gitignore` and is not readable for other users.

        Raises:
            RunError: The folder cannot be written, or `.gump/runs` is a link or belongs to another user.
        """
        folder = cls(project / RUNS / run_id)
        try:
            folder._make()
        except OSError as error:
            message = f"cannot write {error.filename}: {error.strerror}"
            raise RunError(message, hint=_UNWRITABLE) from error
        return folder

    def _make(self, *, is_there: bool = False) -> None:
        self.path.parent.parent.mkdir(parents=True, exist_ok=True)
        runs = own_folder(self.path.parent)
        if runs.status(".gitignore") is None:
            runs.write(".gitignore", b"# made by gump: runs are not for the repository\n*\n")
        if not is_there and runs.status(self.run_id) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))
        runs.own(self.run_id).own(self.attempts.name)

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def attempts(self) -> Path:
        return self.path / "attempts"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.ndjson"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Lock the run for this process. The kernel releases the lock when the process ends, even if it is killed.

        Raises:
            RunError: Another process has locked the run.
        """
        with self._opened() as handle:
            deadline = time.monotonic() + PROBED_S
            while not lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if time.monotonic() > deadline:
                    raise is_in_use(self.run_id)
                time.sleep(0.05)
            yield

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RunError(f"cannot open {self.path}: {error.strerror}") from error
        try:
            yield handle
        finally:
            os.close(handle)

    @property
    def is_owned(self) -> bool:
        """True if a process has locked the run: it is working on it or about to start."""
        try:
            with self._opened() as handle:
                return not lock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except RunError:
            return False

    def write_header(self, header: dict[str, Any], copies: Mapping[str, bytes]) -> None:
        """Write the header of the run, and copies of its spec and its workflows, by file name.

        Raises:
            RunError: A file cannot be written, for example on a full disk.
        """
        text = json.dumps(header, indent=2, ensure_ascii=False) + "\n"
        contents = {**copies, "run.json": text.encode("utf-8", "surrogateescape")}
        try:
            for name, content in contents.items():
                Directory.open(self.path).write(name, content)
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}", hint=_UNWRITABLE) from error
        self._written = contents

    def damage(self) -> str:
        """Return a message if a file was removed or is no longer a regular file; otherwise an empty string."""
        gone = next((path for name in self._written if not _is_file(path := self.path / name)), None)
        return f"{gone.name} of the run's folder was removed" if gone is not None else ""

    def restore(self) -> None:
        """Restore the folder and its files if they are missing.

        Raises:
            OSError: A file or the folder cannot be restored. A link or file in the folder's place is not removed.
        """
        for folder in (self.path.parent, self.path):
            if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
                raise NotADirectoryError(errno.ENOTDIR, "something else is in its place", str(folder))
        self._make(is_there=True)
        for name, content in self._written.items():
            path = self.path / name
            if not _is_file(path):
                if os.path.lexists(path):
                    path.rename(path.with_name(f"{name}.{os.urandom(4).hex()}"))
                Directory.open(self.path).write(name, content)

    def keep_versions(self, copies: Mapping[str, bytes]) -> None:
        """Write new copies of the spec and the workflows, and keep them in memory for `restore`.

        Earlier versions are kept as `workflow.1.yaml`, `spec.1.md` and so on.
        """
        header = self.path / "run.json"
        self._written = {header.name: header.read_bytes()} if header.is_file() else {}
        for name, content in copies.items():
            path = self.path / name
            self._written[name] = content
            if path.is_file() and path.read_bytes() == content:
                continue
            if path.exists():
                versions = (self.path / f"{path.stem}.{number}{path.suffix}" for number in count(1))
                path.rename(next(version for version in versions if not version.exists()))
            Directory.open(self.path).write(name, content)

    def close_to_others(self) -> None:
        """Remove other users' access to the run's files; an older version may have left them readable."""
        close_to_others(self.path)

    def read_header(self) -> dict[str, Any]:
        """Read `run.json`.

        Raises:
            RunError: The file is missing, unreadable, or from a newer version.
        """
        path = self.path / "run.json"
        try:
            header = json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
        except (OSError, ValueError, RecursionError) as error:
            why = reason_of(error).removeprefix(f"{path}: ")
            raise RunError(f"cannot read {path}: {why}", hint=DAMAGED) from error
        if not isinstance(header, dict) or not isinstance(header.get("format"), int):
            raise RunError(f"{path} is not the header of a run", hint=DAMAGED)
        if header["format"] > 1:
            raise RunError(f"{path} was written by a newer version of pytest-gump", hint="update pytest-gump")
        return header

    def take_artifacts(self, scratch: Path, *, number: int, step: str, attempt: int) -> str:
        """Move an attempt's scratch folder into the run; return its name below `attempts/`.

        Raises:
            RunError: The files cannot be moved, for example to a full disk. No incomplete copy is left.
        """
        name = f"{number:04d}-{StepPath.parse(step).folder}-a{attempt}"
        target = self.attempts / name
        if scratch == target:  # already moved by a session that was killed directly afterwards
            return name
        moved: Path | None = None
        try:
            attempts = Directory.open(self.path).own(self.attempts.name)
            attempts.put_aside(name)
            close_to_others(scratch)
            remove_special(scratch)
            moved = Path(attempts.access, name)
            shutil.move(scratch, moved)
        except OSError as error:  # includes shutil.Error
            if moved is not None:
                shutil.rmtree(moved, ignore_errors=True)
            why = error.strerror or str(error.args[0][0][2])  # shutil.Error lists what could not be copied
            raise RunError(f"cannot write {target}: {why}", hint="the attempt's commit is still kept") from error
        return name


def is_in_use(run_id: str) -> RunError:
    """Return the error for a run that another process has locked."""
    message = f"another process works on run {run_id}"
    return RunError(message, hint="gump status shows its process id and whether the run is still running")


def run_folders(project: Path) -> Iterator[RunFolder]:
    """Yield all runs of a project, newest first; each is looked up only when the iterator reaches it."""
    return _existing(project / RUNS, _names(project / RUNS))


def _names(runs: Path) -> list[str]:
    names = os.listdir(runs) if runs.is_dir() else []  # noqa: PTH208 - there may be many
    return sorted(names, key=by_time, reverse=True)


def _existing(runs: Path, names: Iterable[str]) -> Iterator[RunFolder]:
    return (RunFolder(runs / name) for name in names if os.path.isfile(f"{runs}/{name}/run.json"))  # noqa: PTH113


def find_run(project: Path, name: str | None) -> RunFolder:
    """Find a run by its id or by a unique start or end of the id; None means the newest run.

    Raises:
        RunError: No run matches, or more than one.
    """
    newest = next(run_folders(project), None)
    if newest is None:
        raise RunError(f"no runs in {project / RUNS}", hint="start one: pytest --gump-workflow=tdd spec.md")
    if name is None:
        return newest
    runs = project / RUNS
    named = (run_id for run_id in _names(runs) if run_id.startswith(name) or run_id.endswith(name))
    found = [*_existing(runs, named)]
    matches = [folder for folder in found if folder.run_id == name] or found
    if len(matches) == 1:
        return matches[0]
    folders = [*run_folders(project)]
    if matches:
        raise RunError(
            f"{name!r} matches {len(matches)} runs: {listed([folder.run_id for folder in matches], NAMED)}",
            hint=f"give more of its start or end; gump status -n {len(folders)} lists all runs",
        )
    near = _near(name, folders)
    hint = f"did you mean {near}?" if near else f"the newest: {', '.join(folder.run_id for folder in folders[:NAMED])}"
    raise RunError(f"no run {name!r} in {project / RUNS}", hint=hint)


def _near(name: str, folders: list[RunFolder]) -> str | None:
    """Return the run whose id, or last part of the id, is most similar to a mistyped name."""
    ends = {folder.run_id.rpartition("-")[2]: folder.run_id for folder in reversed(folders)}
    ids = {folder.run_id: folder.run_id for folder in folders}
    known = {**ids, **ends}
    near = nearest(name, known, cutoff=0.75)
    return known[near[0]] if near else None
