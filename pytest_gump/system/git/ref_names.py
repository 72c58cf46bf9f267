"""Names of the refs and branches that runs have in the user's repository."""

from __future__ import annotations

from typing import Final

HEADS: Final = "refs/heads/"
BRANCHES: Final = "refs/heads/gump"
"""The branches of all runs are below it."""
RUNS: Final = "refs/gump"
"""All other refs of runs are below it, in a folder for each run."""


def branch_name(run_id: str) -> str:
    """Short name of the branch that a run starts with."""
    return f"gump/{run_id}"


def branch_ref(name: str) -> str:
    return f"{HEADS}{name}"


def is_run_branch(name: str) -> bool:
    """True if the short name is one that a run gives to its branches."""
    return name.startswith("gump/")


def is_run_ref(ref: str) -> bool:
    """True if the ref is not a branch and belongs to a run."""
    return ref.startswith(f"{RUNS}/")


def run_refs(run_id: str) -> str:
    """The folder of a run's refs."""
    return f"{RUNS}/{run_id}"


def head_ref(run_id: str) -> str:
    """Ref of the run's head while the result is on no branch."""
    return f"{run_refs(run_id)}/head"


def dirty_ref(run_id: str) -> str:
    """Ref of the uncommitted changes that the run started from."""
    return f"{run_refs(run_id)}/dirty"


def snapshot_refs(run_id: str) -> str:
    """The folder of the refs that keep what attempts left in their worktrees."""
    return f"{run_refs(run_id)}/attempts/"


def commit_refs(run_id: str) -> str:
    """The folder of the refs that keep the commits of passed attempts, wherever the run's branch goes."""
    return f"{run_refs(run_id)}/commits/"
