"""Changes by the user during a run: branches, the run's folder, the checkout, unusual git settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

    from tests.kits.rogue import Rogue

TWO = """\
name: rogue
steps:
  - {name: one, agent: script, prompt: Do one., gate: [compile]}
  - {name: two, agent: script, prompt: Do two., gate: [compile]}
"""
AGENT = """
def as_user(*words):
    who = ["-c", "user.name=u", "-c", "user.email=u@example.org"]
    return subprocess.run(["git", *who, *words], cwd=user, check=True, capture_output=True, text=True).stdout.strip()
if not pathlib.Path("one.py").exists():
    write("one.py", "one = 1\\n")
else:
    write("two.py", "two = 2\\n")
    branch = as_user("for-each-ref", "--format=%(refname:short)", "refs/heads/gump").split()[0]
    run = user / ".gump/runs" / branch.removeprefix("gump/")
    ACT
"""


@pytest.fixture
def two(rogue: Rogue) -> Rogue:
    rogue.project.workflow("rogue", TWO)
    return rogue


def act(rogue: Rogue, what: str) -> None:
    """Let the user do this while the second step is running."""
    rogue.agent(AGENT.replace("ACT", what))


def play(rogue: Rogue, *options: str) -> tuple[int, str]:
    result = rogue.project.pytester.runpytest_inprocess(*(options or ("--gump-workflow=rogue", "spec.md")))
    return int(result.ret), result.stdout.str()


def gump(project: GumpProject, *words: str) -> tuple[int, str]:
    result = project.pytester.run(sys.executable, "-m", "pytest_gump", *words)
    return int(result.ret), result.stdout.str() + result.stderr.str()


def branches(project: GumpProject) -> dict[str, str]:
    lines = project.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return dict(line.split() for line in lines)


MINE = (
    "as_user('update-ref', f'refs/heads/{branch}', as_user('commit-tree', 'HEAD^{tree}', '-p', branch, '-m', 'mine'))"
)
MOVES = {
    "a commit": (MINE, "was moved by someone else, to "),
    "a rename": ("as_user('branch', '-m', branch, 'mine')", "was deleted or renamed"),
    "a deletion": ("as_user('branch', '-D', branch)", "was deleted or renamed"),
    "a checkout": ("as_user('switch', branch)", "is checked out in "),
    "another worktree": ("as_user('worktree', 'add', str(user) + '-other', branch)", "is checked out in "),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_branch_that_the_user_moved_is_kept_and_the_result_is_on_another(two: Rogue, move: str) -> None:
    what, why = MOVES[move]
    act(two, f"{what}; write(user.parent / (user.name + '-refs'), as_user('show-ref', '--heads'))")
    project = two.project
    code, output = play(two)
    assert code == 0, output
    record = project.record()
    first = f"gump/{record.run_id}"
    assert f"branch {first} {why}" in output
    assert f"and is left alone; the result is on {first}-2" in output
    noted = project.path.parent.joinpath(f"{project.path.name}-refs").read_text().splitlines()
    at_the_time = {ref.removeprefix("refs/heads/"): commit for commit, ref in map(str.split, noted)}
    assert branches(project) == {**at_the_time, f"{first}-2": record.head}
    assert project.git("status", "--porcelain", "--untracked-files=no") == ""
    project.git("switch", "--quiet", "main")
    assert f"the result is on {first}-2" in " ".join(gump(project, "report")[1].split())
    assert gump(project, "apply")[0] == 0
    assert {"one.py", "two.py"} <= {*project.tree("HEAD")}
    kept = {name: commit for name, commit in branches(project).items() if name in at_the_time and name != "main"}
    assert kept == {name: commit for name, commit in at_the_time.items() if name != "main"}


LOSSES = {
    "the folder": "import shutil; shutil.rmtree(run)",
    "all runs": "import shutil; shutil.rmtree(run.parent)",
    "the ledger": "(run / 'ledger.ndjson').unlink()",
    "the header": "(run / 'run.json').unlink()",
    "the ledger's content": "(run / 'ledger.ndjson').write_text('')",
    "a link": "(run / 'ledger.ndjson').unlink(); (run / 'ledger.ndjson').symlink_to(user / 'app.py')",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_that_loses_its_files_fails_with_a_reason_and_can_be_resumed(two: Rogue, loss: str) -> None:
    act(two, LOSSES[loss])
    project = two.project
    content = (project.path / "app.py").read_bytes()
    code, output = play(two)
    assert code == 1
    assert "during the run" in output
    assert "run failed" in output
    assert "gump apply" not in output
    assert (project.path / "app.py").read_bytes() == content
    record = project.record()
    assert record.status == "failed"
    assert [one.verdict for one in record.attempts] == ["passed", "passed"]
    assert record.run_id in gump(project, "status")[1]
    assert gump(project, "gc", "--dry-run")[0] == 0
    assert "is failed" in gump(project, "apply", record.run_id)[1]
    act(two, "pass")
    assert play(two, "--gump-resume")[0] == 0
    assert gump(project, "apply")[0] == 0
    assert {"one.py", "two.py"} <= {*project.tree("HEAD")}


PLANTED = [
    ("conftest.py", "import os\n"),
    ("deep/conftest.py", "import os\n"),
    ("pytest.ini", "[pytest]\n"),
    (".git/hooks/post-checkout", "#!/bin/sh\n"),
    (".git/info/attributes", "* filter=x\n"),
    (".claude/settings.local.json", "{}"),
    ("gump.toml", ""),
]


@pytest.mark.parametrize(("name", "content"), PLANTED)
def test_files_that_an_agent_plants_in_the_checkout_are_named(two: Rogue, name: str, content: str) -> None:
    (two.project.path / ".git/info/exclude").write_text(".claude/\n")
    act(two, f"write(user / {name!r}, {content + '# more'!r})")
    code, output = play(two)
    how = "" if (name == "conftest.py") else " (new)"
    assert code == 0
    assert f"your checkout changed during the run: {name}{how}" in output
    assert f"your checkout changed during the run: {name}{how}" in " ".join(gump(two.project, "report")[1].split())


def test_pytest_does_not_execute_files_planted_during_the_last_run(two: Rogue) -> None:
    project = two.project
    owned = project.path.parent / f"{project.path.name}-owned"
    planted = f"open({str(owned)!r}, 'w')\n"
    act(two, f"write(user / 'sub/conftest.py', {planted!r})")
    project.write({"sub/spec.md": "# Another\n"})
    project.commit("another spec")
    assert play(two)[0] == 0
    words = ("--gump-workflow=rogue", "sub/spec.md")
    refused = project.pytester.runpytest_inprocess(*words)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*pytest configuration appeared in your checkout during run *: sub/conftest.py"])
    assert not owned.exists()
    assert len(project.folders()) == 1
    (project.path / "sub/conftest.py").write_text("")  # reviewed by the user
    act(two, "pass")
    assert play(two, *words)[0] == 0


OPTIONS = ["--no-ff", "--squash", "--no-commit", "--ff-only --squash", "-s ours", "--edit", "--signoff", "-S"]
SETTINGS = [("branch.main.mergeOptions", options) for options in OPTIONS]
SETTINGS += [("merge.ff", "false"), ("merge.ff", "only"), ("commit.gpgsign", "true"), ("merge.autoStash", "true")]


@pytest.mark.parametrize(("key", "value"), SETTINGS)
def test_apply_merges_with_unusual_merge_settings_of_the_user(two: Rogue, key: str, value: str) -> None:
    project = two.project
    act(two, "pass")
    assert play(two)[0] == 0
    hook = project.path / ".git/hooks/commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.org")
    project.git("config", key, value)
    code, output = gump(project, "apply")
    assert code == 0, output
    assert "merged run" in output
    record = project.record()
    assert project.git("rev-parse", "HEAD") == record.applied
    assert project.git("status", "--porcelain", "--untracked-files=no") == ""
    assert {"one.py", "two.py"} <= {*project.tree("HEAD")}
    assert project.git("log", "-1", "--format=%s %an %ce") == 'Merge "What to build" (2 steps) Ada ada@example.org'
    assert "is already applied" in gump(project, "apply")[1]
