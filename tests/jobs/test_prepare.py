"""The commit that a run starts from. The checkout does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


def test_a_dirty_checkout_is_refused_and_its_files_are_named(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.write({"app.py": "value = 2\n"})
    result = project.run("one")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: the checkout has uncommitted changes: app.py", "  hint: commit or stash them, *"]
    )
    assert project.folders() == []


def test_an_untracked_spec_does_not_make_the_checkout_dirty(project: GumpProject) -> None:
    project.write({"fresh.md": "# Fresh\n"})
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one", spec="fresh.md").assert_outcomes(passed=1)


def test_dirty_changes_can_be_included_in_the_run(project: GumpProject) -> None:
    project.write({"app.py": "value = 2\n"})
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one", "--gump-dirty=include").assert_outcomes(passed=1)
    tree = project.tree(project.record().head)
    assert tree["app.py"] == "value = 2"
    assert project.git("status", "--porcelain") == "M app.py"


def test_a_run_can_start_from_another_commit(project: GumpProject) -> None:
    first = project.git("rev-parse", "HEAD")
    project.write({"later.py": "y = 1\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one", f"--gump-base={first}").assert_outcomes(passed=1)
    assert "later.py" not in project.tree(project.record().head)


def test_a_machine_without_git_identity_can_run(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    project.git("config", "user.useConfigOnly", "true")
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one").assert_outcomes(passed=1)


def test_a_folder_outside_a_repository_is_refused(gump_project: GumpProject) -> None:
    bare = gump_project.path.parent / f"{gump_project.path.name} no repository é"
    bare.mkdir()
    (bare / "spec.md").write_text("# Spec\n", encoding="utf-8")
    gump_project.pytester.chdir()
    import os

    os.chdir(bare)
    result = gump_project.run("freeform")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *not *git repository*"])


def test_changes_that_an_agent_commits_are_found(project: GumpProject) -> None:
    script = project.path.parent / f"{project.path.name}-agent.sh"
    script.write_text(
        "cat >/dev/null\necho 'x = 1' > new.py\ngit add -A\ngit -c user.name=a -c user.email=a commit -qm mine\n",
        encoding="utf-8",
    )
    project.write({"conftest.py": AGENT_CONFTEST.format(script=str(script))})
    project.workflow("own", OWN)
    result = project.pytester.runpytest_inprocess("--gump-workflow=own", "spec.md")
    result.assert_outcomes(passed=1)
    record = project.record()
    assert [change.path for change in record.attempts[0].result.changed] == ["new.py"]  # type: ignore[union-attr]
    assert "mine" not in project.git("log", "--format=%s", "--all")


OWN = """\
name: own
steps:
  - name: impl
    agent: script
    prompt: Do it.
    gate: [compile]
"""

AGENT_CONFTEST = """\
from pytest_gump.agents.base import Command
from pytest_gump.agents.base import Ending
from pytest_gump.agents.usage import Usage


class Reader:
    def feed(self, line):
        return ()

    def finish(self, *, exit_code, stderr, stopped):
        outcome = "ok" if exit_code == 0 and not stopped else "agent_error"
        return Ending(outcome, stderr, "", Usage(), None)


class Script:
    name = "script"
    cli = "script"
    cost = "unknown"

    def missing(self):
        return None

    def command(self, task):
        return Command(("sh", "{script}"), stdin=task.prompt.encode())

    def reader(self, task):
        return Reader()


def pytest_gump_agents():
    return {{"script": Script()}}
"""


def test_an_agent_of_unknown_cost_is_refused_under_a_budget(project: GumpProject) -> None:
    project.write({"conftest.py": AGENT_CONFTEST.format(script="/dev/null")})
    project.workflow("own", OWN.replace("steps:", "max_budget: 1\nsteps:"))
    result = project.pytester.runpytest_inprocess("--gump-workflow=own", "spec.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: max_budget cannot be enforced: the cost of script is unknown", "  hint: *gump_unknown_cost = allow*"]
    )
