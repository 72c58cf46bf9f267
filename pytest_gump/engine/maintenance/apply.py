"""`gump apply`: merge the commits of the passed steps with one merge commit, or refuse and change nothing."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.maintenance.approve import approval_lines, not_approved, refuse_agent
from pytest_gump.engine.record.event_schema import NOTHING_TO_MERGE
from pytest_gump.engine.run.merging import steps_of
from pytest_gump.engine.run.run_branch import is_of_run, refuse_lost
from pytest_gump.errors import RunError, WorktreeError
from pytest_gump.system.git.checkout import fast_forward, in_the_way
from pytest_gump.system.git.history import chain, contains
from pytest_gump.system.git.ref_names import branch_ref, is_run_branch
from pytest_gump.text import listed, listed_paths, one_line
from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_gump.engine.record.ledger import Ledger
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.system.git.merge import Merge
    from pytest_gump.system.git.repository import Repository

NO_IDENTITY: Final = (
    "git has no name and email for you, so the author is gump <gump@localhost>; set them with "
    "git config user.name and git config user.email, then run git commit --amend --reset-author --no-edit"
)

_TITLE_CHARS: Final = 60
_SKIPPED: Final = re.compile(
    r"\A---\n.*?\n---$|^(?P<fence>```+|~~~+).*?^(?P=fence)|<!--.*?-->", re.DOTALL | re.MULTILINE
)
"""Front matter, code blocks and comments, in which `#` does not start a heading."""
_HEADING: Final = re.compile(
    r"^ {0,3}#{1,6}[ \t]+(?P<hashes>\S[^\n]*?)[ \t#]*$|^ {0,3}(?P<underlined>\S[^\n]*)\n {0,3}(?:=+|-{2,})[ \t]*$",
    re.MULTILINE,
)
_FIRST: Final = "#-!:;.,>*_`~ \t"
"""Characters that a subject must not start with: git drops lines with `#`, and options start with `-`."""
_MOST_READ: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """A result that is ready to be merged into the checkout."""

    commit: str | None
    """The merge commit, which is on no branch yet; None if there is nothing to merge."""
    head: str
    """The run's head."""
    steps: tuple[str, ...] = ()
    changed: tuple[ChangedFile, ...] = ()
    notes: tuple[str, ...] = ()
    """Notes for the user, one line each; they include why there is nothing to merge, if so."""


def plan_apply(repository: Repository, run: StoredRun, *, squash: bool = False, force: bool = False) -> ApplyPlan:
    """Run all checks and create the commits. The checkout is not changed.

    Raises:
        RunError: The run cannot be applied (running, not passed, already applied, discarded), or conflicts.
        WorktreeError: The checkout has uncommitted changes, or untracked files are in the way.
    """
    here, record = repository.head(), run.record
    _refuse_run(repository, run, here, force=force)
    refuse_lost(repository, record.run_id, record.base, record.head)
    if repository.tree_of(record.head) == repository.tree_of(record.base):
        return ApplyPlan(None, record.head, notes=(f"run {record.run_id} changed no file: {NOTHING_TO_MERGE}",))
    if dirty := repository.dirty():
        raise WorktreeError(
            f"the checkout has uncommitted changes: {listed_paths(dirty)}", hint="commit or stash them first"
        )
    merge = repository.merge_preview(here, record.head, record.base)
    if merge.tree is None:
        raise _conflict(repository, run, merge)
    if merge.tree == repository.tree_of(here):
        return ApplyPlan(None, record.head, notes=(f"all changes of run {record.run_id} are already here",))
    commits = chain(repository, record.base, record.head)
    steps = steps_of(commits.values())
    parents = [here] if squash else [here, _tip(repository, run, here, commits)]
    message, who = _message(run, steps, squash=squash), repository.identity()
    commit = repository.commit_tree(merge.tree, parents, message, who)
    changed = repository.changed(here, commit)
    added, deleted = ([file.path for file in changed if file.status == status] for status in ("added", "deleted"))
    if blocking := in_the_way(repository.root, added, deleted):
        raise WorktreeError(
            f"untracked files are in the way: {listed_paths(blocking)}", hint="move or remove them, then apply again"
        )
    notes = [*_notes(repository, run, here), *([] if who else [NO_IDENTITY])]
    return ApplyPlan(commit, record.head, steps, changed, tuple(notes))


def apply(repository: Repository, plan: ApplyPlan, ledger: Ledger) -> None:
    """Fast-forward the checkout to the merge commit and record that in the ledger."""
    if plan.commit is not None:
        fast_forward(repository, plan.commit)
        ledger.append("applied", commit=plan.commit, head=plan.head)


def _refuse_run(repository: Repository, run: StoredRun, here: str, *, force: bool) -> None:
    record, name = run.record, f"run {run.id}"
    if record.discarded:
        raise RunError(f"{name} was discarded", hint="its branch is gone; start a new run")
    run.refuse_running(hint="gump status shows its progress")
    if record.applied is not None and not (force and not contains(repository, here, record.applied)):
        is_gone = not contains(repository, here, record.applied)
        gone, hint = (", which is no longer here", "--force applies it again") if is_gone else ("", None)
        when = datetime.fromtimestamp(record.last_at, UTC)
        raise RunError(f"{name} was applied on {when:%Y-%m-%d at %H:%M} UTC, as {record.applied[:10]}{gone}", hint=hint)
    if run.state == "passed":
        return
    missing = not_approved(record)
    if not force:
        because = f": {record.reason}" if record.reason else ""
        without = f", without the approval of {listed([*missing])}" if missing else ""
        first = "gump approve, then pytest --gump-resume; " if run.state == "awaiting" else ""
        raise RunError(f"{name} is {run.state}{because}", hint=f"{first}--force merges the steps that passed{without}")
    if missing:
        refuse_agent("apply a run without the approval of a person", "gump apply --force")


def _conflict(repository: Repository, run: StoredRun, merge: Merge) -> RunError:
    where = repository.branch() or "HEAD"
    hint = f"git merge {run.record.branch or run.record.head} lets you resolve it by hand"
    if run.header.get("dirty_base"):
        hint = "the run started from uncommitted changes: commit these, then apply again"
    return RunError(
        f"the changes of run {run.id} conflict with {where}: {listed_paths(merge.conflicts)}; nothing was changed",
        hint=hint,
    )


def _tip(repository: Repository, run: StoredRun, here: str, commits: Mapping[str, str]) -> str:
    """Return the last commit of the chain to merge: the run's own, or a rebuilt one.

    The run's own chain would merge more than its changes if its base holds uncommitted changes, or if the checked-out
    branch does not contain its base.
    """
    record = run.record
    start = run.header.get("dirty_base") or record.base
    if not contains(repository, here, start):
        start = here
    if start == record.base:
        return record.head
    for onto in (start, here):
        rebuilt = _rebuild(repository, record, onto, commits)
        if rebuilt is not None:
            return rebuilt
    raise RunError(f"the steps of run {record.run_id} cannot be rebuilt on {here[:10]}", hint="use --squash")


def _rebuild(repository: Repository, record: RunRecord, onto: str, commits: Mapping[str, str]) -> str | None:
    """Rebuild the chain on another commit and return its tip, or None if that conflicts.

    A step that conflicts without the next one is joined with it.
    """
    tip, fits = onto, False
    for commit, message in commits.items():
        merge = repository.merge_preview(onto, commit, record.base)
        fits = merge.tree is not None
        if merge.tree is not None:
            tip = repository.commit_tree(merge.tree, [tip], message)
    return tip if fits else None


def _message(run: StoredRun, steps: Sequence[str], *, squash: bool) -> str:
    record, title = run.record, ""
    with suppress(OSError):
        title = spec_title((run.folder.path / "spec.md").read_bytes())
    what = " ".join(f"{record.workflow} on {record.spec}".split())
    about = f"{what}\n\n" if title else ""
    merged = f'Merge "{title}"' if title else f"Merge {what}"
    subject = title or what if squash else f"{merged} ({plural(len(steps), 'step')})"
    listed = "" if squash else "".join(f"- {step}\n" for step in steps) + "\n"
    trailers = [f"Gump-Run: {record.run_id}", *(f"Gump-Step: {step}" for step in steps if squash)]
    trailers += [f"Gump-Approved: {line}" for line in approval_lines(record)]
    return f"{subject}\n\n{about}{listed}" + "".join(f"{trailer}\n" for trailer in trailers)


def _notes(repository: Repository, run: StoredRun, here: str) -> list[str]:
    record, header, notes = run.record, run.header, []
    branch, began = repository.branch(), header.get("branch_at_start")
    if run.state != "passed":
        notes.append(f"the run is {run.state}: only the steps that passed were merged")
        notes += [f"{step} was not approved: {reason}" for step, reason in not_approved(record).items()]
    if branch != began:
        notes.append(f"the run started from {began or 'a detached HEAD'}, this is {branch or 'a detached HEAD'}")
    if header.get("dirty_base"):
        notes.append("the run started from uncommitted changes: they were not merged")
    elif not contains(repository, here, record.base):
        notes.append(
            f"the run's base {record.base[:10]} is not part of this branch: only the run's own changes were merged"
        )
    for name in sorted(record.branches):
        ref = branch_ref(name)
        at = repository.refs(ref).get(ref) if is_run_branch(name) else None
        if at is not None and not is_of_run(repository, record, at):
            notes.append(f"branch {name} holds commits that the run did not make; they were not merged")
    return notes


def spec_title(spec: bytes) -> str:
    """Return the first heading of a spec as one line for the subject of a commit; empty if there is none."""
    text = spec[:_MOST_READ].decode("utf-8-sig", "replace").replace("\r\n", "\n")
    found = _HEADING.search(_SKIPPED.sub("", text))
    return one_line(found[found.lastgroup or 0], _TITLE_CHARS).lstrip(_FIRST) if found else ""
