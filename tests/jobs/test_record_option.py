"""`--gump-record` and `--gump-replay`: a replay has the tree and the figures of the recorded run."""

from __future__ import annotations

import json
import os
import re
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.cassettes.cassette import Cassette

from tests.kits.recording import ONE, SECRET, TOKEN, install

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject


def cassette_of(project: GumpProject) -> Path:
    return project.path.parent / f"{project.path.name}-tape"


def record(project: GumpProject, workflow: str = "flow", *options: str) -> pytest.RunResult:
    words = [f"--gump-workflow={workflow}", f"--gump-record={cassette_of(project)}", *options, "spec.md"]
    return project.pytester.runpytest_inprocess(*words)


def replay(project: GumpProject, monkeypatch: pytest.MonkeyPatch, workflow: str = "flow") -> pytest.RunResult:
    """Replay the cassette without the CLIs and without API keys."""
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[2])
    words = [f"--gump-workflow={workflow}", f"--gump-replay={cassette_of(project)}", "spec.md"]
    return project.pytester.runpytest_inprocess(*words)


def figures(project: GumpProject) -> list[dict[str, Any]]:
    """Return what must be the same in each replay, for every attempt of the newest run."""
    rows = []
    for one in project.record().attempts:
        result = one.result
        assert result is not None
        rows.append(
            {
                "attempt": (one.step, one.attempt, one.agent),
                "ended": (result.outcome, result.guard, result.model),
                "tree": result.tree,
                "usage": result.usage,
                "changed": result.changed,
                "session": None if result.session is None else (result.session.id, result.session.cli),
                "output": (result.plan, result.verdict, result.artifact),
                "gates": [(gate.name, gate.status, gate.summary) for gate in result.gates],
            }
        )
    return rows


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_replay_has_the_trees_figures_and_costs_of_the_recorded_run(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, monkeypatch)
    record(project).assert_outcomes(passed=3)
    recorded, head = figures(project), project.record().head
    assert [row["attempt"][1:] for row in recorded] == [
        (1, "claude-haiku"),
        (1, "claude-haiku"),
        (2, "claude-haiku"),
        (3, "codex-gpt54"),
        (1, "claude-haiku"),
    ]
    assert len({row["tree"] for row in recorded}) == 4
    assert [take.resumed for take in Cassette.open(cassette_of(project)).takes] == [False, False, True, False, False]
    replay(project, monkeypatch).assert_outcomes(passed=3)
    assert figures(project) == recorded
    costs = [row["usage"].cost_usd for row in recorded]
    assert [costs[number] for number in (0, 1, 2, 4)] == [0.25] * 4, "the cost of a resumed session is subtracted"
    assert project.git("rev-parse", f"{project.record().head}^{{tree}}") == project.git("rev-parse", f"{head}^{{tree}}")
    assert project.git("diff", head, project.record().head) == ""


def test_a_cassette_follows_the_format_without_secrets_and_local_paths(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, monkeypatch)
    record(project).assert_outcomes(passed=3)
    check_recordings(project)
    check_nothing_private_is_stored(project)
    check_masks_are_as_long_as_the_secrets(project)


def check_nothing_private_is_stored(project: GumpProject) -> None:
    """Fail if a file contains a secret, or the path of the home or of the worktrees."""
    worktrees = os.environ["XDG_CACHE_HOME"]
    private = {
        SECRET,
        json.dumps(SECRET)[1:-1],
        TOKEN,
        os.environ["HOME"],
        worktrees,
        re.sub("[^A-Za-z0-9]", "-", worktrees),
    }
    files = files_of(cassette_of(project))
    assert len(files) > 20
    leaks = [(name, word) for name, data in files.items() for word in private if word.encode() in data]
    assert leaks == []
    streams = b"".join(data for name, data in files.items() if name.endswith("stream.ndjson"))
    assert b"{{worktree}}" in streams
    assert b"{{home}}/.claude/projects/-worktree-" in streams


def check_masks_are_as_long_as_the_secrets(project: GumpProject) -> None:
    stream = (cassette_of(project) / "01-decompose-a1" / "stream.ndjson").read_text(encoding="utf-8")
    assert f"token {'*' * len(TOKEN)} home" in stream
    assert f"key {'*' * len(SECRET)} token" in stream


def check_recordings(project: GumpProject) -> None:
    takes = Cassette.open(cassette_of(project)).takes
    assert [(take.label, take.attempt, take.agent, take.cli, take.model) for take in takes] == [
        ("decompose", 1, "claude-haiku", "claude", "claude-haiku-4-5"),
        ("build::impl[only-one]", 1, "claude-haiku", "claude", "claude-haiku-4-5"),
        ("build::impl[only-one]", 2, "claude-haiku", "claude", "claude-haiku-4-5"),
        ("build::impl[only-one]", 3, "codex-gpt54", "codex", takes[3].model),
        ("review", 1, "claude-haiku", "claude", "claude-haiku-4-5"),
    ]
    first = cassette_of(project) / takes[0].folder
    assert json.loads((first / "out" / "plan.json").read_bytes())[0]["name"] == "only one"
    assert json.loads((first / "exit.json").read_bytes()) == {"exit_code": 0}
    pauses = json.loads((first / "timing.json").read_bytes())["pauses_s"]
    assert len(pauses) == len((first / "stream.ndjson").read_bytes().splitlines()) + 1
    assert max(pauses[1:-1]) >= 0.05
    assert "Split it: # Spec" in (first / "prompt.md").read_text(encoding="utf-8")
    assert not (first / "tree.patch").exists()
    assert "large.txt" in (cassette_of(project) / takes[3].folder / "tree.patch").read_text(encoding="utf-8")


def test_a_renamed_agent_is_replayed_as_the_recorded_agent(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, monkeypatch)
    project.workflow("one", ONE.replace("guard: {max_turns: 4}", "gate: [compile]\n    on_failure: {retry: 3}"))
    record(project, "one", "-o", "gump_agents=claude-haiku = codex-gpt54").assert_outcomes(passed=1)
    recorded = [row["usage"] for row in figures(project)]
    assert {usage.provenance for usage in recorded} == {"estimated"}
    replay(project, monkeypatch, "one").assert_outcomes(passed=1)
    assert [row["usage"] for row in figures(project)] == recorded


def test_a_replay_reports_a_changed_prompt(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    record(project).assert_outcomes(passed=3)
    project.write({"spec.md": "# Spec\n\nBuild something else.\n"})
    project.commit()
    result = replay(project, monkeypatch)
    result.assert_outcomes(failed=1, skipped=2)
    result.stdout.fnmatch_lines(["*prompt changed since it was recorded: line * was 'Build it.', is 'Build something*"])


def test_workers_record_into_one_cassette(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    words = ["-n2", "--gump-workflow=sides", f"--gump-record={cassette_of(project)}", "spec.md"]
    project.pytester.runpytest_subprocess(*words).assert_outcomes(passed=4)
    recorded = sorted(figures(project), key=lambda row: row["attempt"])
    assert {take.step for take in Cassette.open(cassette_of(project)).takes} == {"sides::left", "sides::right"}
    replay(project, monkeypatch, "sides").assert_outcomes(passed=4)
    assert sorted(figures(project), key=lambda row: row["attempt"]) == recorded


GUARD = """
for number in range(2, 9):
    answer(number, {"type": "text", "text": f"Still at it {number}."})
time.sleep(60)
"""
KILLED = "sys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)\n"
FAILED = "sys.exit(7)\n"


@pytest.mark.parametrize(
    ("script", "outcome", "exit_code"),
    [(GUARD, "guard", None), (KILLED, "agent_error", -9), (FAILED, "agent_error", 7)],
    ids=["guard", "killed", "failed"],
)
def test_a_failed_attempt_fails_the_same_way_in_the_replay(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch, script: str, outcome: str, exit_code: int | None
) -> None:
    install(project, monkeypatch, claude=script)
    record(project, "one").assert_outcomes(failed=1)
    recorded, steps = figures(project), project.record().steps
    assert json.loads((cassette_of(project) / "01-impl-a1" / "exit.json").read_bytes()) == {"exit_code": exit_code}
    reason = steps["impl"].reason
    replay(project, monkeypatch, "one").assert_outcomes(failed=1)
    assert figures(project) == recorded
    assert (project.record().steps["impl"].outcome, project.record().steps["impl"].reason) == (outcome, reason)


LEAK = """
(here / "notes.txt").write_text(f"the key is {secret}\\n")
answer(2, {"type": "text", "text": "Written."})
end()
"""


def test_an_attempt_with_a_secret_in_its_tree_is_not_recorded_but_noted(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, monkeypatch, claude=LEAK)
    result = record(project, "one")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*note: not recorded: the value of a secret is in tree.patch*"])
    assert Cassette.open(cassette_of(project)).takes == ()
    assert [path.name for path in cassette_of(project).iterdir()] == ["index.json"]


def test_a_cassette_is_never_overwritten(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    record(project).assert_outcomes(passed=3)
    before = files_of(cassette_of(project))
    result = record(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *-tape already contains a cassette", "*hint: use another folder, or remove*"])
    assert files_of(cassette_of(project)) == before


def test_a_folder_with_other_files_is_refused(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    cassette_of(project).mkdir()
    (cassette_of(project) / "thesis.txt").write_text("dear\n", encoding="utf-8")
    result = record(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *-tape is not empty, and not a cassette"])
    assert list(files_of(cassette_of(project))) == ["thesis.txt"]


def test_a_folder_that_cannot_be_created_is_refused_before_the_run(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, monkeypatch)
    cassette_of(project).write_text("a file\n", encoding="utf-8")
    result = record(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *-tape: cannot record into this folder: *"])
    assert project.folders() == []


def test_several_runs_cannot_share_a_cassette(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    project.write({"other.md": "# Other\n"})
    result = record(project, "one", "other.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gump-record records one run, but this session has several"])


def test_a_replay_is_not_recorded(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    result = record(project, "one", f"--gump-replay={project.cassette}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gump-record cannot be combined with --gump-replay"])


def test_a_dry_run_creates_no_cassette(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    assert record(project, "flow", "--gump-dry-run").ret == pytest.ExitCode.OK
    assert not cassette_of(project).exists()


def test_the_setting_records_each_run_in_its_own_folder(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    project.write({"pytest.ini": f"[pytest]\ngump_record = {cassette_of(project)}\n"})
    for _ in range(2):
        project.pytester.runpytest_inprocess("--gump-workflow=flow", "spec.md").assert_outcomes(passed=3)
    runs = sorted(folder.run_id for folder in project.folders())
    assert sorted(path.name for path in cassette_of(project).iterdir()) == runs
    assert [len(Cassette.open(cassette_of(project) / run).takes) for run in runs] == [5, 5]


def test_an_incomplete_recording_is_replaced(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    install(project, monkeypatch)
    project.workflow("one", ONE.replace("guard: {max_turns: 4}", "gate: [compile]\n    on_failure: {retry: 3}"))
    conftest = """
        import pathlib
        def pytest_gump_attempt_started(order):
            left = pathlib.Path(TAPE, "03-impl-a3")
            left.mkdir(exist_ok=True)
            (left / "stream.ndjson").write_text("half a li")
    """
    project.write({"conftest.py": textwrap.dedent(conftest).replace("TAPE", repr(str(cassette_of(project))))})
    record(project, "one").assert_outcomes(passed=1)
    takes = Cassette.open(cassette_of(project)).takes
    assert [(take.attempt, take.folder) for take in takes] == [(1, "01-impl-a1"), (2, "02-impl-a2"), (3, "03-impl-a3")]
    assert "half a li" not in (cassette_of(project) / "03-impl-a3" / "stream.ndjson").read_text(encoding="utf-8")
    assert max(path.name for path in cassette_of(project).iterdir()) == "index.json"


def test_a_run_continues_if_its_cassette_cannot_be_written(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, monkeypatch)
    conftest = (
        f"import shutil\ndef pytest_gump_attempt_started(order):\n    shutil.rmtree({str(cassette_of(project))!r})\n"
    )
    project.write({"conftest.py": conftest})
    result = record(project, "one")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*note: not recorded: *"])
    [attempt] = project.record().attempts
    assert attempt.result is not None
    assert any(note.endswith("No such file or directory") for note in attempt.result.notes)
