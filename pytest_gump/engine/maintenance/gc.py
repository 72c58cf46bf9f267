"""`gump gc`: find what can be removed, and remove it.

Locks are held only briefly: each item is first moved away from the path where other processes look for it, and deleted
afterwards. A slot is moved under its lease. A run's folder and scratch folder are moved while its ledger is locked.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.maintenance.gc_runs import all_known, look_at
from pytest_gump.engine.record.ledger import lock_out_writers
from pytest_gump.engine.record.refs import run_of_branch
from pytest_gump.engine.record.run_folder import RUNS
from pytest_gump.engine.record.run_id import is_run_id, started_at
from pytest_gump.engine.run.run_branch import branches_of, has_other_work, result_ref
from pytest_gump.errors import GumpError, WorktreeError
from pytest_gump.system import files
from pytest_gump.system.directory import ASIDE
from pytest_gump.system.disk_usage import disk_usage
from pytest_gump.system.git import ref_names
from pytest_gump.system.git.ref_names import HEADS
from pytest_gump.system.git.upkeep import checkouts, clear_ref_folder, delete_refs, is_kept_elsewhere
from pytest_gump.system.trash import TRASH, delete, is_trash, move_to_trash
from pytest_gump.system.worktrees.pool import SlotPool, is_leased
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_gump.engine.maintenance.gc_runs import KnownRun
    from pytest_gump.system.git.repository import Repository

DAY_S: Final = 86_400.0
_BESIDE: Final = "index|index\\.lock|folder|ignored|setup|left|tenant|lease"
_SLOT: Final = re.compile(rf"(w\d+|doctor-\d+-[0-9a-f]{{8}})(?:\.(?:{_BESIDE}))?")
_SLOT_TRASH: Final = re.compile(r"\.trash-(w\d+|doctor-\d+-[0-9a-f]{8})-.+")


@dataclass(frozen=True, slots=True)
class Expiry:
    """Which runs are old enough to remove; without a limit, no run is."""

    keep_last: int | None = None
    older_than_s: float | None = None
    force: bool = False
    """Also remove runs that could be resumed or applied, and branches that alone hold their commits."""

    def covers(self, newer: int, age_s: float) -> bool:
        """True if a run of this age, with this number of newer runs, is old enough."""
        if self.keep_last is None and self.older_than_s is None:
            return False
        return newer >= (self.keep_last or 0) and age_s >= (self.older_than_s or 0.0)


@dataclass(frozen=True, slots=True)
class Item:
    """An item that can be removed."""

    kind: str
    """worktree, scratch, run, branch, refs, trash, remote."""
    name: str
    size: int
    """Bytes on disk, without the space that git frees later."""
    remove: Callable[[], bool]
    """Removes the item; returns False if it is in use now."""
    refs: int = 0


@dataclass(slots=True)
class Findings:
    items: list[Item] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    """Name and reason of each run or branch that is kept, and of each foreign file that gump has renamed."""


def find_garbage(repository: Repository, slots_root: Path, expiry: Expiry, now: float) -> Findings:
    """Find all items that can be removed, and change nothing.

    Raises:
        WorktreeError: A folder cannot be read.
    """
    with looking():
        return _Search(repository, slots_root, expiry, now).search()


@contextmanager
def looking() -> Iterator[None]:
    """Raise a WorktreeError if a folder cannot be read."""
    try:
        yield
    except OSError as error:
        raise WorktreeError(f"cannot read {error.filename}: {error.strerror}") from error


class _Search:
    def __init__(self, repository: Repository, slots_root: Path, expiry: Expiry, now: float) -> None:
        self._repository = repository
        self._root = slots_root
        self._expiry = expiry
        self._now = now
        self._found = Findings()
        self._names = [path.name for path in slots_root.iterdir()] if slots_root.is_dir() else []
        self._refs: dict[str, dict[str, str]] = defaultdict(dict)
        for name, commit in {**repository.refs(ref_names.BRANCHES), **repository.refs(ref_names.RUNS)}.items():
            run_id = run_of_branch(name) if name.startswith(HEADS) else name.split("/")[2]
            if is_run_id(run_id) and "/" not in run_id:
                self._refs[run_id][name] = commit
        # List scratch folders and refs before runs, so that the run of each of them is found.
        self._checkouts = checkouts(repository)
        others = (checkout.path for checkout in self._checkouts if checkout.path != repository.root)
        elsewhere = [run for root in others for run in all_known(root, now)]
        self._here = [self._seen(run) for run in all_known(repository.root, now)]
        self._known = {run.id: run for run in (*map(self._seen, elsewhere), *self._here)}

    def _seen(self, run: KnownRun) -> KnownRun:
        """Return the run with its status. A run with an empty ledger is interrupted if attempts left refs or files."""
        run.record.run_id = run.id
        if run.state != "empty":
            return run
        scratch = self._root / f"{run.id}.scratch"
        is_left = any(name.startswith(ref_names.snapshot_refs(run.id)) for name in self._refs.get(run.id, ()))
        is_left = is_left or (scratch.is_dir() and any(scratch.iterdir()))
        return replace(run, state="interrupted") if is_left else run

    def search(self) -> Findings:
        self._slots()
        self._scratch()
        self._runs()
        self._orphans()
        self._trash(self._repository.root / RUNS / TRASH)
        self._foreign()
        return self._found

    def _add(self, kind: str, name: str, size: int, remove: Callable[[], bool], refs: int = 0) -> None:
        self._found.items.append(Item(kind, name, size, remove, refs))

    def _add_refs(self, kind: str, run_id: str, refs: dict[str, str]) -> None:
        if refs:
            self._add(kind, run_id, 0, partial(self._delete, run_id, refs), len(refs))

    def _checked_out(self, ref: str) -> str | None:
        where = next((checkout.path for checkout in self._checkouts if checkout.branch == ref), None)
        return None if where is None else f"has its branch checked out in {where}"

    @contextmanager
    def _unwritten(self, run: KnownRun | None, may_go: Callable[[KnownRun], bool]) -> Iterator[bool]:
        """Lock the run's ledger; yield False if another process writes it, or if the run can no longer be removed."""
        if run is None or not run.folder.ledger.is_file():
            yield True
        else:
            with lock_out_writers(run.folder.ledger) as is_ours:
                yield is_ours and may_go(look_at(run.folder, self._now, ours=True))

    # -- below the folder of worktrees -------------------------------------------------------------------------------

    def _slots(self) -> None:
        paths: dict[str, list[Path]] = defaultdict(list)
        for name in self._names:
            match = _SLOT.fullmatch(name) or _SLOT_TRASH.fullmatch(name)
            if match is not None:
                paths[match[1]].append(self._root / name)
        pool = SlotPool(Slots(self._repository, self._root, shared=True))
        for slot in sorted(paths, key=lambda name: (len(name), name)):
            if not is_leased(self._root / f"{slot}.lease") and not _is_of_doctor_at_work(slot):
                self._add("worktree", slot, disk_usage(*paths[slot]), partial(pool.retire, slot))

    def _scratch(self) -> None:
        for name in self._names:
            path, run_id = self._root / name, name.removesuffix(".scratch")
            if is_trash(name) and not _SLOT_TRASH.fullmatch(name):
                self._trash(path)
            elif name.endswith(".scratch") and self._is_left(run_id):
                self._add("scratch", name, disk_usage(path), partial(self._drop, path, run_id))

    def _is_left(self, user: str) -> bool:
        """True if the scratch folder belongs to a run or `gump doctor`, which does not need it any more."""
        if is_run_id(user):
            return not self._needs_scratch(user)
        return _SLOT.fullmatch(user) is not None and not _is_of_doctor_at_work(user)

    def _needs_scratch(self, run_id: str) -> bool:
        """True if the run still needs its scratch folder, which may hold the only trace of a killed attempt's cost."""
        run = self._known.get(run_id)
        if run is None:
            return False
        is_open = run.state in {"running", "starting", "interrupted"}
        return run.needed(force=self._expiry.force or not is_open) is not None

    def _drop(self, scratch: Path, run_id: str) -> bool:
        with self._unwritten(self._known.get(run_id), lambda run: run.state != "running") as is_free:
            if not is_free:
                return False
            aside = move_to_trash(scratch)
        return delete(aside)

    def _trash(self, path: Path) -> None:
        if path.exists() or path.is_symlink():
            self._add("trash", path.name, disk_usage(path), partial(delete, path))

    def _foreign(self) -> None:
        """Report files that were in the place of a worktree or of the worktrees' folder; they may be the user's."""
        beside = self._root.parent.glob(f"{ASIDE}{self._root.name}-*")
        for path in sorted([*(self._root / name for name in self._names if name.startswith(ASIDE)), *beside]):
            self._found.kept.append((path.name, f"in {path.parent}: gump did not create it"))

    # -- runs --------------------------------------------------------------------------------------------------------

    def _runs(self) -> None:
        for newer, run in enumerate(self._here):
            age_s = self._now - (run.record.last_at or started_at(run.id))
            refs = self._refs.get(run.id, {})
            if run.state == "empty" or self._expiry.covers(newer, age_s):
                why = run.needed(force=self._expiry.force) or self._checked_out(result_ref(run.record))
                if why is not None:
                    self._found.kept.append((run.id, why))
                    continue
                mine = self._without_others_work(run, refs)
                size = disk_usage(run.folder.path)
                self._add("run", run.id, size, partial(self._remove_run, run, mine), len(mine))
            elif run.record.discarded and refs and self._checked_out(result_ref(run.record)) is None:
                self._add_refs("refs", run.id, self._without_others_work(run, refs))
            elif (
                run.record.applied is not None
                and (branches := _branches(refs))
                and is_kept_elsewhere(self._repository, run.record.applied)
            ):
                self._add_refs("branch", run.id, self._without_others_work(run, branches))

    def _without_others_work(self, run: KnownRun, refs: dict[str, str]) -> dict[str, str]:
        """Return the refs of a run, without branches that someone else moved or extended, or that are checked out."""
        made, mine = branches_of(self._repository, run.record) if _branches(refs) else {}, {}
        for name, commit in refs.items():
            why = self._why_kept(run, name, commit, made) if name.startswith(HEADS) else None
            if why is None:
                mine[name] = commit
            elif name.removeprefix(HEADS) in run.record.branches:
                self._found.kept.append((run.id, why))
        return mine

    def _why_kept(self, run: KnownRun, name: str, commit: str, made: dict[str, str]) -> str | None:
        if name not in made:
            return f"its branch {name.removeprefix(HEADS)} only: someone else has moved it"
        if not self._expiry.force and has_other_work(self._repository, run.record, commit):
            return "its branch only: it holds commits that the run did not make"
        return self._checked_out(name)

    def _remove_run(self, run: KnownRun, refs: dict[str, str]) -> bool:
        trash = run.folder.path.parent / TRASH
        aside = trash / f"{run.id}-{secrets.token_hex(4)}"
        with self._unwritten(run, lambda run: run.needed(force=self._expiry.force) is None) as is_free:
            if not is_free:
                return False
            # Refs first: if this is interrupted, a run without refs is found again, but refs without a run may not be.
            self._delete(run.id, refs)
            trash.mkdir(exist_ok=True)
            run.folder.path.rename(aside)
        files.remove(aside)
        if not any(trash.iterdir()):
            trash.rmdir()
        return True

    def _delete(self, run_id: str, refs: dict[str, str]) -> bool:
        delete_refs(self._repository, refs)
        clear_ref_folder(self._repository, run_id)
        return True

    # -- refs of runs that are gone ----------------------------------------------------------------------------------

    def _orphans(self) -> None:
        away = next((checkout.path for checkout in self._checkouts if checkout.is_away), None)
        for run_id, refs in sorted(self._refs.items()):
            if run_id in self._known or self._now - started_at(run_id) < DAY_S:
                continue  # refs are created before the run's folder
            if away is not None:
                self._found.kept.append((run_id, f"may have its folder in {away}, which is missing now"))
                continue
            self._add_refs("refs", run_id, self._without_branch(run_id, refs))

    def _without_branch(self, run_id: str, refs: dict[str, str]) -> dict[str, str]:
        """Return the refs of a run without a folder, with its branch only if another ref holds the commits."""
        mine = {}
        for name, commit in refs.items():
            why = self._checked_out(name) if name.startswith(HEADS) else None
            is_at_risk = name.startswith(HEADS) and not self._expiry.force
            if why is None and is_at_risk and not is_kept_elsewhere(self._repository, commit):
                why = "its branch only: its folder is gone, and no other ref holds these commits"
            if why is None:
                mine[name] = commit
            else:
                self._found.kept.append((run_id, why))
        return mine


def _branches(refs: dict[str, str]) -> dict[str, str]:
    return {name: commit for name, commit in refs.items() if name.startswith(HEADS)}


def _is_of_doctor_at_work(slot: str) -> bool:
    """True for the worktree of a running `gump doctor`, which has no lease."""
    if not slot.startswith("doctor-"):
        return False
    import psutil

    return bool(psutil.pid_exists(int(slot.split("-")[1])))


@dataclass(slots=True)
class Collected:
    removed: list[Item] = field(default_factory=list)
    used: list[Item] = field(default_factory=list)
    """Items that are in use now, and were not removed."""
    problems: list[str] = field(default_factory=list)


def collect(items: list[Item]) -> Collected:
    """Remove the items. An item that cannot be removed is reported, and the others are still removed."""
    done = Collected()
    for item in items:
        try:
            (done.removed if item.remove() else done.used).append(item)
        except FileNotFoundError:  # another process removed it
            continue
        except OSError as error:
            done.problems.append(f"{item.kind} {item.name}: cannot remove {error.filename or 'it'}: {error.strerror}")
        except GumpError as error:
            done.problems.append(f"{item.kind} {item.name}: {error.args[0]}")
    return done
