"""Data that a worker without a shared disk sends with a result: the snapshot, the attempt's files and its recording.

If the transfer fails, the result becomes `crashed` and keeps its cost.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.engine.attempt.record_take import adopt
from pytest_gump.engine.attempt.snapshots import attempt_ref
from pytest_gump.errors import GumpError, WorktreeError, reason_of
from pytest_gump.order import Outcome
from pytest_gump.system.git.pack import pack_new, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.git.repository import Repository

CHUNK: Final = 4 << 20
LOST: Final = (GumpError, OSError, tarfile.TarError, EOFError, MemoryError)
"""Exceptions that can occur during a transfer."""


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))


def without_transfer(result: AttemptResult, why: str) -> AttemptResult:
    """Return the result of an attempt whose files did not arrive: without files and commits, but with its cost."""
    is_cancelled = result.outcome is Outcome.CANCELLED
    why_lost = f"the files of the attempt did not arrive from its worker: {why}"
    return replace(
        result,
        outcome=Outcome.CANCELLED if is_cancelled else Outcome.CRASHED,
        reason=result.reason if is_cancelled else why_lost,
        notes=(*result.notes, why_lost) if is_cancelled else result.notes,
        snapshot=None,
        tree=None,
        scratch=None,
        session=None,
        changed=(),
        plan=None,
        verdict=None,
        artifact=None,
        gate_config=(),
        named_changes=(),
    )


# -- the worker's side -----------------------------------------------------------------------------------------------


def transfers(order: Order, result: AttemptResult, repository: Repository, take: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a result: `refs`, then pieces of a `pack`, of an archive of the attempt's `files`, and of an
    archive of its recording (`take`).
    """
    ref = attempt_ref(order)
    refs = {**repository.refs(ref), **repository.refs(f"{ref}-dropped")}
    if refs:
        known = {order.base, order.step_base, order.run_base}
        yield "refs", refs
        yield from (("pack", piece) for piece in pieces(pack_new(repository, [*refs.values()], known)))
    if result.scratch is not None:
        yield from (("files", piece) for piece in _archive(Path(result.scratch), "attempt"))
    if take.is_dir():
        yield from (("take", piece) for piece in _archive(take, "take"))


def clear(order: Order, result: AttemptResult, repository: Repository, take: Path) -> None:
    """Remove the files and refs of an attempt from this disk, after sending them or failing to.

    Raises:
        WorktreeError: The repository cannot be written.
    """
    for folder in (result.scratch, str(take)):
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    ref = attempt_ref(order)
    for name in [*repository.refs(ref), *repository.refs(f"{ref}-dropped")]:
        repository.delete_ref(name)


def _archive(folder: Path, name: str) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            archive.add(folder, arcname=name)
        file.seek(0)
        while piece := file.read(CHUNK):
            yield piece


# -- the controller's side -------------------------------------------------------------------------------------------


class Transfer:
    """The parts of one result, until all have arrived."""

    def __init__(self, folder: Path, cassette: Path | None) -> None:
        """Create nothing on disk yet.

        Args:
            folder: Gets the received files.
            cassette: Folder of the run's cassette; None if the run is not recorded.
        """
        self._folder = folder
        self._cassette = cassette
        self._refs: dict[str, str] = {}
        self._lost: OSError | None = None

    def add(self, kind: str, content: Any) -> None:
        if kind == "refs":
            self._refs = dict(content)
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"arrived.{kind}").open("ab") as file:
                file.write(content)
        except OSError as error:  # `unpack` reports it, because the result has not arrived yet
            self._lost = self._lost or error

    def unpack(self, order: Order, result: AttemptResult, repository: Repository) -> AttemptResult:
        """Store the snapshot in the user's repository, and files and recording in the folders that local attempts use.

        Return the result with local paths, or `without_transfer` if something is missing or damaged.
        """
        if result.scratch is None and result.snapshot is None:  # the worker could not send all parts
            return result
        try:
            if self._lost is not None:
                raise self._lost
            return self._unpack(order, result, repository)
        except LOST as error:
            return without_transfer(result, reason_of(error))

    def _unpack(self, order: Order, result: AttemptResult, repository: Repository) -> AttemptResult:
        pack = self._folder / "arrived.pack"
        if pack.exists():
            unpack(repository, pack.read_bytes())
        for name, commit in self._refs.items():
            if name.startswith(attempt_ref(order)):
                repository.update_ref(name, commit)
        known = None if order.agent_part is None else order.agent_part.snapshot
        if result.snapshot not in {None, known, *self._refs.values()}:
            raise WorktreeError(f"the snapshot {result.snapshot:.12} is missing")
        for kind in ("files", "take"):
            archive = self._folder / f"arrived.{kind}"
            if archive.exists():
                with tarfile.open(archive) as opened:
                    opened.extractall(self._folder, filter="data")
        files, take = self._folder / "attempt", self._folder / "take"
        why_not = adopt(self._cassette, take) if self._cassette is not None and take.is_dir() else None
        notes = result.notes if why_not is None else (*result.notes, why_not)
        return replace(result, scratch=str(files) if files.is_dir() else None, notes=notes)
