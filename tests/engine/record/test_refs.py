"""Names of refs: each attempt has its own, and a branch name contains the run id."""

from __future__ import annotations

import pytest
from pytest_gump.engine.record.refs import commit_ref, run_of_branch, snapshot_ref

RUN = "20261122-061512-tdd-7f3a0c"


def test_every_attempt_has_its_own_refs() -> None:
    steps = [("a::b", 1), ("a-b", 1), ("a::b[c]", 1), ("a::b", 11)]
    names = {ref(RUN, step, attempt) for step, attempt in steps for ref in (snapshot_ref, commit_ref)}
    assert len(names) == 2 * len(steps)
    assert snapshot_ref(RUN, "build::impl[item-2]", 3) == f"refs/gump/{RUN}/attempts/build.impl.item-2-a3"


def test_ref_of_a_deeply_nested_step_fits_into_a_file_name() -> None:
    steps = ["::".join(["n" * 64] * 8 + [last]) for last in ("a", "b")]
    names = [snapshot_ref(RUN, step, 100).rpartition("/")[2] for step in steps]
    assert all(len(name) < 200 for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize("branch", [RUN, f"{RUN}-2", f"{RUN}-9999"])
def test_run_of_a_branch_is_found(branch: str) -> None:
    assert run_of_branch(f"refs/heads/gump/{branch}") == RUN
