"""Names of the refs and branches of runs in the user's repository."""

from __future__ import annotations

from typing import Final

HEADS: Final = "refs/heads/"
BRANCHES: Final = "refs/heads/gump"
"""Parent of the branches of all runs."""
RUNS: Final = "refs/gump"
"""Parent of all other refs of runs, with one folder for each run."""


def branch_name(run_id: str) -> str:
    """Return the short name of the branch that a run starts with."""
    return f"gump/{run_id}"


def branch_ref(name: str) -> str:
    return f"{HEADS}{name}"


def is_run_branch(name: str) -> bool:
    """True if a branch with this short name belongs to a run."""
    return name.startswith("gump/")


def is_run_ref(ref: str) -> bool:
    """True if the ref belongs to a run and is not a branch."""
    return ref.startswith(f"{RUNS}/")


def run_refs(run_id: str) -> str:
    """Return the folder of a run's refs."""
    return f"{RUNS}/{run_id}"


def head_ref(run_id: str) -> str:
    """Return the ref of the run's head, for a result that is not on a branch."""
    return f"{run_refs(run_id)}/head"


def dirty_ref(run_id: str) -> str:
    """Return the ref of the uncommitted changes that the run started from."""
    return f"{run_refs(run_id)}/dirty"


def snapshot_refs(run_id: str) -> str:
    """Return the folder of the refs of snapshots, which contain the files that attempts left in their worktrees."""
    return f"{run_refs(run_id)}/attempts/"


def commit_refs(run_id: str) -> str:
    """Return the folder of the refs that keep the commits of passed attempts, even if the run's branch moves."""
    return f"{run_refs(run_id)}/commits/"
