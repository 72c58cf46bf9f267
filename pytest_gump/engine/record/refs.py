"""The refs of a run's attempts, and the run of a branch."""

from __future__ import annotations

import re
from typing import Final

from pytest_gump.system.git import ref_names
from pytest_gump.workflow.path import StepPath

_NUMBERED: Final = re.compile(r"(.+-[0-9a-f]{6})-\d{1,4}")


def snapshot_ref(run_id: str, step: str, attempt: int) -> str:
    """The ref that keeps the attempt's snapshot."""
    return f"{ref_names.snapshot_refs(run_id)}{_name(step, attempt)}"


def commit_ref(run_id: str, step: str, attempt: int) -> str:
    """The ref that keeps what a passed attempt made of the tree, wherever the run's branch goes."""
    return f"{ref_names.commit_refs(run_id)}{_name(step, attempt)}"


def _name(step: str, attempt: int) -> str:
    path = StepPath.parse(step)
    name = ".".join((*path.names, *path.items))  # neither holds a dot: no two steps share a ref
    return f"{name}-a{attempt}"


def run_of_branch(ref: str) -> str:
    """The run id in a ref such as `refs/heads/gump/<run-id>` or `refs/heads/gump/<run-id>-2`."""
    name = ref.removeprefix(f"{ref_names.BRANCHES}/")
    return match[1] if (match := _NUMBERED.fullmatch(name)) else name
