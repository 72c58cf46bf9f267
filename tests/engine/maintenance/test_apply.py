"""Plans of `gump apply` for repositories that a run rarely leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.maintenance.apply import ApplyPlan, apply, plan_apply
from pytest_gump.engine.record.approvals import Question
from pytest_gump.engine.record.ledger import Ledger, read_ledger
from pytest_gump.engine.record.records import RunRecord, StepRecord
from pytest_gump.engine.record.run_folder import RUNS, RunFolder
from pytest_gump.engine.record.stored_run import StoredRun
from pytest_gump.errors import RunError
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.processes.process_table import MARK

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject

RUN = "20261122-061512-tdd-7f3a"


def record(base: str, head: str, **changes: object) -> RunRecord:
    fields: dict[str, object] = {"run_id": RUN, "workflow": "tdd", "spec": "spec.md", "status": "passed"}
    return RunRecord(base=base, head=head, **(fields | changes))  # type: ignore[arg-type]


def step(project: GumpProject, name: str, files: dict[str, str]) -> str:
    """Commit files as a step of the run does, and return the commit."""
    project.write(files)
    project.git("add", "--all")
    project.git("commit", "--quiet", "-m", f"{name}: tdd on spec.md\n\nGump-Run: {RUN}\nGump-Step: {name}\n")
    return project.git("rev-parse", "HEAD")


def plan(
    project: GumpProject, run: RunRecord, *, dirty_base: str | None = None, squash: bool = False, force: bool = False
) -> ApplyPlan:
    header = {"dirty_base": dirty_base, "branch_at_start": "main"}
    stored = StoredRun(RunFolder(project.path / RUNS / RUN), header, (), run, run.status, size=0)
    return plan_apply(Repository.open(project.path), stored, squash=squash, force=force)


def dirty_run(project: GumpProject, *steps: dict[str, str]) -> tuple[str, RunRecord]:
    """Return a run that started from uncommitted changes, the first of `steps`. The checkout is clean again."""
    project.write({"app.py": "one = 1\n\n\n\ntwo = 2\n"})
    clean = project.commit("clean")
    captured, *commits = [step(project, f"s{number}", files) for number, files in enumerate(steps)]
    project.git("reset", "--quiet", "--hard", clean)
    return clean, record(captured, commits[-1])


def test_plan_does_not_change_the_checkout(gump_project: GumpProject) -> None:
    base = gump_project.git("rev-parse", "HEAD")
    head = step(gump_project, "impl", {"a.py": "a = 1\n"})
    gump_project.git("reset", "--quiet", "--hard", base)
    made = plan(gump_project, record(base, head))
    assert made.commit is not None
    assert made.steps == ("impl",)
    assert [one.path for one in made.changed] == ["a.py"]
    assert gump_project.git("rev-parse", "HEAD") == base
    assert not (gump_project.path / "a.py").exists()


def test_apply_is_recorded_with_both_commits(gump_project: GumpProject, tmp_path: Path) -> None:
    base = gump_project.git("rev-parse", "HEAD")
    head = step(gump_project, "impl", {"a.py": "a = 1\n"})
    gump_project.git("reset", "--quiet", "--hard", base)
    made = plan(gump_project, record(base, head))
    ledger = Ledger(tmp_path / "ledger.ndjson", lambda: 1.0)
    apply(Repository.open(gump_project.path), made, ledger)
    ledger.close()
    expected = {"event": "applied", "at": 1.0, "commit": gump_project.git("rev-parse", "HEAD"), "head": head}
    assert list(read_ledger(tmp_path / "ledger.ndjson")) == [expected]


def test_step_that_applies_only_with_the_next_one_is_joined_to_it(gump_project: GumpProject) -> None:
    clean, run = dirty_run(
        gump_project,
        {"app.py": "one = 'mine'\n\n\n\ntwo = 2\n"},
        {"app.py": "one = 'over mine'\n\n\n\ntwo = 2\n"},
        {"app.py": "one = 'mine'\n\n\n\ntwo = 'theirs'\n"},
    )
    made = plan(gump_project, run, dirty_base=clean)
    assert made.commit is not None
    chain = gump_project.git("log", "--format=%s", f"{clean}..{made.commit}^2").splitlines()
    assert chain == ["s2: tdd on spec.md"]
    assert gump_project.tree(made.commit)["app.py"] == "one = 1\n\n\n\ntwo = 'theirs'"
    assert "mine" not in gump_project.git("log", "-p", f"{clean}..{made.commit}")


def test_no_commit_of_the_result_descends_from_the_captured_changes(gump_project: GumpProject) -> None:
    clean, run = dirty_run(gump_project, {"app.py": "one = 'mine'\n\n\n\ntwo = 2\n"}, {"b.py": "b = 1\n"})
    made = plan(gump_project, run, dirty_base=clean, squash=True)
    whole = plan(gump_project, run, dirty_base=clean)
    assert made.commit is not None
    assert whole.commit is not None
    history = gump_project.git("rev-list", made.commit, whole.commit).split()
    assert run.base not in history
    assert run.head not in history


def test_spec_name_with_newlines_cannot_forge_a_trailer(gump_project: GumpProject) -> None:
    base = gump_project.git("rev-parse", "HEAD")
    head = step(gump_project, "impl", {"a.py": "a = 1\n"})
    gump_project.git("reset", "--quiet", "--hard", base)
    made = plan(gump_project, record(base, head, spec="s.md\n\nGump-Run: other"))
    assert made.commit is not None
    keys = gump_project.git("log", "-1", "--format=%(trailers:key=Gump-Run,valueonly)", made.commit)
    assert keys == RUN


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discarded": True}, "was discarded"),
        ({"status": "running", "pid": 7}, r"is still running \(pid 7\)"),
        ({"status": "cancelled", "reason": "interrupted"}, "is cancelled: interrupted"),
        ({"status": "interrupted"}, "--force merges the steps that passed"),
    ],
)
def test_run_that_cannot_be_applied_is_refused(
    gump_project: GumpProject, changes: dict[str, object], message: str
) -> None:
    head = gump_project.git("rev-parse", "HEAD")
    with pytest.raises(RunError, match=message):
        plan(gump_project, record(head, head, **changes))


def test_run_that_waits_for_approval_is_merged_only_by_a_person_who_knows_that(
    gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = gump_project.git("rev-parse", "HEAD")
    head = step(gump_project, "impl", {"a.py": "a = 1\n"})
    gump_project.git("reset", "--quiet", "--hard", base)
    run = record(base, head, status="awaiting", reason="ship must be approved first")
    run.steps["ship"] = StepRecord("ship", "approve", status="awaiting", reason="waits for approval of abc")
    run.approvals.ask({"event": "awaiting", **Question(1, "ship", base, head, "tree", 1.0, None, ())._asdict()})
    with pytest.raises(RunError, match="is awaiting: ship must be approved first") as refused:
        plan(gump_project, run)
    approve = "gump approve, then pytest --gump-resume"
    assert refused.value.hint == f"{approve}; --force merges the steps that passed, without the approval of ship"
    made = plan(gump_project, run, force=True)
    assert made.steps == ("impl",)
    assert "ship was not approved: waits for approval of abc" in made.notes
    monkeypatch.setenv(MARK, "run-1")
    with pytest.raises(RunError, match="an attempt cannot apply a run without the approval of a person"):
        plan(gump_project, run, force=True)
