"""Names of the refs of a run's attempts, and the run id in a branch name."""

from __future__ import annotations

import re
from typing import Final

from pytest_gump.system.git import ref_names
from pytest_gump.workflow.path import StepPath, shortened

_NUMBERED: Final = re.compile(r"(.+-[0-9a-f]{6})-\d{1,4}")


def snapshot_ref(run_id: str, step: str, attempt: int) -> str:
    """Return the ref that keeps the attempt's snapshot."""
    return f"{ref_names.snapshot_refs(run_id)}{_name(step, attempt)}"


def commit_ref(run_id: str, step: str, attempt: int) -> str:
    """Return the ref that keeps the commit of a passed attempt, independent of the run's branch."""
    return f"{ref_names.commit_refs(run_id)}{_name(step, attempt)}"


def _name(step: str, attempt: int) -> str:
    path = StepPath.parse(step)
    name = ".".join((*path.names, *path.items))  # names contain no dots, so each step has its own ref
    return f"{shortened(name)}-a{attempt}"


def run_of_branch(ref: str) -> str:
    """Return the run id in a ref such as `refs/heads/gump/<run-id>` or `refs/heads/gump/<run-id>-2`."""
    name = ref.removeprefix(f"{ref_names.BRANCHES}/")
    return match[1] if (match := _NUMBERED.fullmatch(name)) else name
