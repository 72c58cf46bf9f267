"""`gump gc`: remove unused files of runs, and old runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_gump.cli.command import add_command, add_json, age, positive
from pytest_gump.cli.effective import worktrees
from pytest_gump.cli.runs import project_root
from pytest_gump.engine.maintenance.gc import Collected, Expiry, collect, find_garbage
from pytest_gump.engine.maintenance.gc_remote import find_remote
from pytest_gump.errors import ConfigError
from pytest_gump.system.cache import remote_root
from pytest_gump.system.git.repository import Repository
from pytest_gump.units import format_bytes, plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.maintenance.gc import Findings, Item

KINDS = {
    "run": ("run", "runs"),
    "worktree": ("worktree", "worktrees"),
    "scratch": ("scratch folder", "scratch folders"),
    "branch": ("branch of an applied run", "branches of applied runs"),
    "refs": ("run's refs", "runs' refs"),
    "remote": ("project of remote workers", "projects of remote workers"),
    "trash": ("partly removed folder", "partly removed folders"),
}
MOST_NAMED = 3
"""Limit of runs that are listed for one reason."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "gc",
        description="Remove unused worktrees and scratch folders, branches of applied runs, and refs of runs that are "
        "discarded or have no folder. --keep-last and --older-than also remove whole runs: folder, branch and "
        "snapshots. Running runs, runs that can be resumed, and runs that passed and are not applied are kept, and "
        "so are branches that were moved or are checked out.",
        examples="  gump gc --dry-run\n  gump gc --older-than 14d\n  gump gc --keep-last 20 --force\n"
        "  gump gc --remote            on a machine with remote workers; needs no repository",
        execute=execute,
    )
    add_option = parser.add_argument
    add_option("--keep-last", type=positive, metavar="N", help="remove all runs except the newest N")
    add_option("--older-than", type=age, metavar="AGE", help="remove runs that ended at least AGE ago: 14d, 2w, 12h")
    add_option(
        "--force",
        action="store_true",
        help="also remove scratch folders of interrupted runs, branches with commits of yours that are on no other "
        "branch, and, with --keep-last or --older-than, runs that can be resumed, or passed and are not applied",
    )
    add_option(
        "--remote",
        action="store_true",
        help="remove only files that remote workers of runs on other machines left on this one",
    )
    add_option("--dry-run", action="store_true", help="show what would be removed, and remove nothing")
    add_json(parser)


def execute(arguments: argparse.Namespace, out: Out) -> int:
    findings = _find_remote(arguments) if arguments.remote else _find(arguments)
    done = Collected(removed=findings.items) if arguments.dry_run else collect(findings.items)
    if arguments.json:
        out.json(_data(findings, done, is_dry=arguments.dry_run))
    else:
        _print(findings, done, out, is_dry=arguments.dry_run)
    return 1 if done.problems else 0


def _find(arguments: argparse.Namespace) -> Findings:
    repository = Repository.open(project_root())
    expiry = Expiry(arguments.keep_last, arguments.older_than, arguments.force)
    return find_garbage(repository, worktrees(repository), expiry, time.time())


def _find_remote(arguments: argparse.Namespace) -> Findings:
    if arguments.keep_last is not None or arguments.force:
        raise ConfigError("--remote cannot be combined with --keep-last or --force", hint="use --older-than AGE")
    return find_remote(remote_root(), arguments.older_than, time.time())


def _data(findings: Findings, done: Collected, *, is_dry: bool) -> dict[str, Any]:
    return {
        "schema": 1,
        "dry_run": is_dry,
        "bytes": sum(item.size for item in done.removed),
        "removed": [_item(item) for item in done.removed],
        "in_use": [_item(item) for item in done.used],
        "kept": [{"run": run, "why": why} for run, why in findings.kept],
        "problems": done.problems,
    }


def _item(item: Item) -> dict[str, Any]:
    return {"kind": item.kind, "name": item.name, "bytes": item.size, "refs": item.refs}


def _print(findings: Findings, done: Collected, out: Out, *, is_dry: bool) -> None:
    rows = [
        (item.kind, item.name, plural(item.refs, "ref") if item.refs else "", format_bytes(item.size))
        for item in done.removed
    ]
    if rows:
        out.table(("kind", "name", "refs", "size"), rows, right=("size",))
    for item in done.used:
        out.line(f"kept, now in use: {item.kind} {item.name}")
    for line in _kept(findings.kept):
        out.line(line)
    for problem in done.problems:
        out.line(f"{out.marks.failed} {problem}", "red")
    total = format_bytes(sum(item.size for item in done.removed))
    what = _counts(done.removed)
    if is_dry:
        out.line(f"would remove {what}: {total}" if what else "there is nothing to remove")
    else:
        out.line(f"{out.marks.passed} removed {what}: {total}" if what else "there was nothing to remove", "green")


def _kept(kept: list[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each kept run, or one line if many are kept for the same reason."""
    runs: dict[str, list[str]] = {}
    for run, why in kept:
        runs.setdefault(why, []).append(run)
    for why, names in runs.items():
        if len(names) <= MOST_NAMED:
            yield from (f"kept: {name} {why}" for name in names)
        else:
            yield f"kept: {len(names)} runs, each {why}: {', '.join(names[:MOST_NAMED])}, .. (--json lists all)"


def _counts(items: list[Item]) -> str:
    counts = ((sum(item.kind == kind for item in items), nouns) for kind, nouns in KINDS.items())
    return ", ".join(plural(count, *nouns) for count, nouns in counts if count)
