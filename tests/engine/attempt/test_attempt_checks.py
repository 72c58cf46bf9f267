"""Checks of the files that an attempt leaves behind, and of the worktree that its gates see."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import ToolCall
from pytest_gump.agents.clis.codex_stream import CodexReader
from pytest_gump.engine.checks.trespass import LEFT
from pytest_gump.gates.tools.environment import own_python
from pytest_gump.order import Outcome, PlanItem

from tests.engine.attempt_kit import GateSpec, Kit, Limits, ScriptAgent, bash, scratch_of

if TYPE_CHECKING:
    from pytest_gump.agents.base import Command, StreamReader, Task
    from pytest_gump.gates.view import StepView
    from pytest_gump.system.processes.process import Supervisor

ITEM = PlanItem("The Item", "the-item", "do it", ("src/", "tests/"))


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor) -> Kit:
    return Kit(tmp_path, supervisor)


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_change_outside_the_plan_items_files_fails_before_the_gates(kit: Kit) -> None:
    result = kit.run(
        'write("src/a.py", "1"); write("b.py", "2")', item=ITEM, blast_radius="enforce", gates=bash("true")
    )
    assert (result.outcome, result.reason) == (
        Outcome.OUT_OF_BOUNDS,
        "changed files outside those of the plan item: b.py",
    )
    assert result.gates == ()
    assert "b.py" in kit.files(result.snapshot)


def test_file_out_of_bounds_fails_later_attempts_until_it_is_removed(kit: Kit) -> None:
    first = kit.run('write("b.py", "2")', item=ITEM, blast_radius="enforce")
    second = kit.run(
        'write("src/a.py", "1")',
        item=ITEM,
        blast_radius="enforce",
        attempt=2,
        base=first.snapshot,
        step_base=kit.base,
    )
    third = kit.run(
        'os.remove("b.py")', item=ITEM, blast_radius="enforce", attempt=3, base=second.snapshot, step_base=kit.base
    )
    assert [one.outcome for one in (first, second)] == [Outcome.OUT_OF_BOUNDS] * 2
    assert third.passed, third.reason


def test_blast_radius_warn_adds_a_note(kit: Kit) -> None:
    result = kit.run('write("b.py", "2")', item=ITEM, blast_radius="warn")
    assert result.passed
    assert "changed files outside those of the plan item: b.py" in result.notes


def test_protected_file_is_out_of_bounds_without_a_blast_radius(kit: Kit) -> None:
    result = kit.run('write(".claude/settings.json", "{}")')
    assert (result.outcome, result.reason) == (
        Outcome.OUT_OF_BOUNDS,
        "changed protected files: .claude/settings.json",
    )


def test_changed_configuration_of_gates_is_allowed_and_reported(kit: Kit) -> None:
    result = kit.run('write("pyproject.toml", ""); write("src/a.py", "1")')
    assert result.passed
    assert result.gate_config == ("pyproject.toml",)


def test_link_out_of_the_worktree_fails_the_attempt_and_is_named(kit: Kit) -> None:
    result = kit.run('os.symlink("/etc/passwd", "link")', gates=bash("true"))
    assert result.outcome is Outcome.OUT_OF_BOUNDS
    assert "cannot be kept" in result.reason
    assert result.reason.endswith("link")


def test_special_files_are_left_out_and_noted(kit: Kit) -> None:
    result = kit.run('os.mkfifo("pipe"); write("a.py", "1")')
    assert result.passed
    assert any("pipe" in note for note in result.notes)


def test_tool_call_that_writes_into_the_checkout_stops_the_agent(kit: Kit) -> None:
    target = kit.root / "app.py"
    kit.script(
        f'open({str(target)!r}, "w").close(); say("tool_call", tool="Write", path={str(target)!r}); time.sleep(60)'
    )
    result = kit.run(gates=bash("true"))
    assert result.outcome is Outcome.OUT_OF_BOUNDS
    assert result.reason == f"the agent wrote into the user's checkout: {target}"
    assert f"{LEFT}: {target}" in result.notes


# -- secrets ---------------------------------------------------------------------------------------------------------


def test_secret_in_a_changed_file_is_out_of_bounds_and_masked_on_disk(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", "sk-very-secret-1234")
    kit.script(
        'write("conf.py", os.environ["TEST_API_KEY"]); say("text", text=os.environ["TEST_API_KEY"])',
        env_names=("TEST_API_KEY",),
    )
    result = kit.run(gates=bash("true"))
    assert result.outcome is Outcome.OUT_OF_BOUNDS
    assert result.reason == "the value of a secret was found: TEST_API_KEY in conf.py"
    for path in scratch_of(result).rglob("*"):
        assert path.is_dir() or b"sk-very-secret-1234" not in path.read_bytes(), path
    assert result.snapshot is not None
    assert "sk-very-secret" not in kit.git("log", "-1", "--format=%B", result.snapshot)
    assert any("masked" in note for note in result.notes)


def test_secret_in_a_tool_call_is_masked_in_events(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", "sk-very-secret-1234")
    kit.script(
        'key = os.environ["TEST_API_KEY"]; say("text", text=key);'
        'say("tool_call", tool="Write", path=key + ".py"); say("tool_call", tool="Bash", command="echo " + key)',
        env_names=("TEST_API_KEY",),
    )
    kit.run(gates=bash("true"))
    calls = [event for event in kit.events if isinstance(event, ToolCall)]
    assert calls == [ToolCall("Write", path="***.py"), ToolCall("Bash", command="echo ***")]
    assert "sk-very-secret" not in repr(kit.events)


def test_secret_in_an_output_file_is_found(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", "tok-very-secret-1234")
    kit.settings = replace(kit.settings, agent_env=("TEST_TOKEN",))
    result = kit.run('write(".gump/out/artifact.txt", "it is " + os.environ["TEST_TOKEN"])', mode="artifact")
    assert result.outcome is Outcome.OUT_OF_BOUNDS
    assert result.reason == "the value of a secret was found: TEST_TOKEN in artifact.txt"
    assert result.artifact == "it is ***"


@pytest.mark.parametrize("content", ["b'\\0\\xff' + key", "b'line\\n' * 300000 + key", "b'x' * 2000000 + key"])
def test_secret_in_a_binary_or_large_file_is_found(kit: Kit, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("TEST_TOKEN", "tok-very-secret-1234")
    kit.settings = replace(kit.settings, agent_env=("TEST_TOKEN",))
    result = kit.run(f'key = os.environb[b"TEST_TOKEN"]; pathlib.Path("big.dat").write_bytes({content})')
    assert result.reason == "the value of a secret was found: TEST_TOKEN in big.dat"


def test_secret_from_a_failed_attempt_is_found_again_in_the_next_one(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", "tok-very-secret-1234")
    kit.settings = replace(kit.settings, agent_env=("TEST_TOKEN",))
    first = kit.run('write("a.py", os.environ["TEST_TOKEN"])')
    second = kit.run('write("b.py", "")', attempt=2, base=first.snapshot, step_base=kit.base)
    assert second.reason == "the value of a secret was found: TEST_TOKEN in a.py"


def test_worktree_contains_no_secret_after_an_attempt_is_rejected_for_one(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "tok-very-secret-1234"
    monkeypatch.setenv("TEST_TOKEN", token)
    kit.settings = replace(kit.settings, agent_env=("TEST_TOKEN",))
    base = kit.commit({".gitignore": "*.log\n"})
    result = kit.run(
        """
        key = os.environ["TEST_TOKEN"]
        for name in ("a.py", "run.log", f"{key}/b.txt", ".git/description"):
            write(name, key)
        """,
        base=base,
    )
    assert result.outcome == "out_of_bounds"
    assert any("refs/gump/run-1/attempts/build-a1 holds the secret" in note for note in result.notes)
    slot = kit.place / "slots" / "one"
    assert slot.is_dir()
    held = [
        path
        for path in slot.rglob("*")
        if token in path.name or (path.is_file() and token in path.read_text("latin-1"))
    ]
    assert held == []
    assert token in kit.git("show", f"{result.snapshot}:a.py")


@pytest.mark.parametrize(
    "form",
    ["key.encode().hex()", "base64.b64encode(b'x' + key.encode()).decode()", "''.join(f'%{ord(c):02X}' for c in key)"],
)
def test_encoded_secret_is_found_in_a_change(kit: Kit, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("TEST_TOKEN", "tok-very-secret-1234")
    kit.settings = replace(kit.settings, agent_env=("TEST_TOKEN",))
    result = kit.run(f'import base64; key = os.environ["TEST_TOKEN"]; write("a.py", {form}); say("text", text={form})')
    assert result.reason == "the value of a secret was found: TEST_TOKEN in a.py"
    assert "***" in (scratch_of(result) / "stream.ndjson").read_text()
    assert "***" in (scratch_of(result) / "diff.patch").read_text()


# -- gates see exactly the tree that is kept ---------------------------------------------------------------------------


def test_gates_do_not_see_ignored_files_that_are_not_kept(kit: Kit) -> None:
    result = kit.run(
        'write("build/out.txt", "y"); write("run.log", "z")', gates=bash("test -e build", "test -e run.log")
    )
    assert [gate.status for gate in result.gates] == ["failed", "failed"]


@pytest.mark.parametrize("folder", ["node_modules", ".venv", "target", "calc.egg-info", "__pycache__", ".mypy_cache"])
def test_gates_do_not_see_a_dependency_folder_made_by_the_agent(kit: Kit, folder: str) -> None:
    base = kit.commit({".gitignore": f"{folder}/\n"})
    result = kit.run(f'write("{folder}/x", "y")', base=base, gates=bash(f"test ! -e {folder}"))
    assert result.passed, result.reason


def test_gates_do_not_see_bytecode_in_the_change(kit: Kit) -> None:
    agent = 'write("a/__pycache__/b.cpython-311.pyc", "y"); write("__pycache__/c.pyc", "y"); write("d.py", "1")'
    result = kit.run(agent, gates=bash("test ! -e a/__pycache__", "test ! -e __pycache__", "test -e d.py"))
    assert result.passed, result.reason
    assert "__pycache__/c.pyc" in result.gate_config


def test_dependency_folder_is_restored_to_its_state_after_setup(kit: Kit) -> None:
    base = kit.commit({".gitignore": "node_modules/\ncount.log\n"})
    setup = ("mkdir -p node_modules/a; echo good > node_modules/a/i.js; echo x >> count.log",)
    see = bash("grep -q good node_modules/a/i.js", "test $(find node_modules -type f | wc -l) = 1")
    quiet = kit.run('write("node_modules/b.js", "y"); write("app.py", "1")', base=base, setup=setup, gates=see)
    assert quiet.passed, quiet.reason
    assert quiet.notes == ()
    agent = """
        place = pathlib.Path("node_modules/a/i.js")
        status = place.stat()
        place.write_text("evil")
        os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
        write("app.py", "2")
        """
    again = kit.run(agent, base=base, attempt=2, setup=setup, gates=see)
    assert again.passed, again.reason
    assert again.notes == ("setup ran again before the gates because its files were changed: node_modules/a/i.js",)
    gone = kit.run('import shutil; shutil.rmtree("node_modules")', base=base, attempt=3, setup=setup, gates=see)
    assert gone.passed, gone.reason


def test_setup_runs_again_before_the_gates_if_a_lock_file_changed(kit: Kit) -> None:
    base = kit.commit({".gitignore": "node_modules/\n", "package-lock.json": "1"})
    setup = ("mkdir -p node_modules && cp package-lock.json node_modules/lock && ! grep -q bad package-lock.json",)
    agent = 'write("package-lock.json", "2"); write("node_modules/lock", "3")'
    result = kit.run(agent, base=base, setup=setup, gates=bash("grep -q 2 node_modules/lock"))
    assert result.passed, result.reason
    bad = kit.run('write("package-lock.json", "bad")', base=base, attempt=2, setup=setup, gates=bash("true"))
    assert bad.outcome is Outcome.GATE_FAILED
    assert bad.reason.startswith("setup failed: ")


def test_gates_use_their_own_build_caches(kit: Kit) -> None:
    result = kit.run(
        "", gates=bash('case "$CARGO_TARGET_DIR$GOCACHE$RUFF_CACHE_DIR" in *$PWD*) exit 1;; "") exit 1;; esac')
    )
    assert result.passed, result.reason


def test_compile_gate_runs_before_gates_that_use_its_output(kit: Kit) -> None:
    gates = (GateSpec("bash", "test -e built.txt"), GateSpec("compile"))
    result = kit.run("", gates=gates, commands=(("compile", "touch built.txt"),))
    assert [gate.name for gate in result.gates] == ["bash: test -e built.txt", "compile"]
    assert result.passed, result.reason


def test_files_left_by_gates_do_not_reach_the_next_attempt(kit: Kit) -> None:
    first = kit.run("", gates=bash("echo 1 > left.txt; echo 2 > left.log; echo 3 >> app.py; mkdir build"))
    result = kit.run("", attempt=2, gates=bash("! ls left.txt left.log build", "git diff --quiet", "grep -qv 3 app.py"))
    assert first.passed
    assert result.passed, result.reason
    assert "left.txt" not in kit.files(first.snapshot)


def test_environment_of_gates_has_item_step_and_attempt_and_nothing_of_the_user(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USERS_OWN", "x")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    wanted = 'test "$GUMP_ITEM_NAME/$GUMP_STEP/$GUMP_ATTEMPT_NUMBER" = "The Item/build/3"'
    none = 'test -z "$USERS_OWN$GIT_DIR"'
    result = kit.run("", item=ITEM, attempt=3, gates=bash(wanted, none, 'printf "$GUMP_ITEM_FILES" | grep -qx tests/'))
    assert result.passed, result.reason


def test_agents_get_the_same_variables_and_find_no_repository_above_the_worktree(kit: Kit) -> None:
    result = kit.run(
        """
        import shutil
        write("seen.txt", " ".join(os.environ[n] for n in ("GUMP_ITEM_NAME", "GUMP_STEP", "GUMP_ATTEMPT_NUMBER")))
        shutil.rmtree(".git")
        write("git.txt", str(subprocess.run(["git", "status"], capture_output=True).returncode))
        """,
        item=ITEM,
    )
    files = kit.files(result.snapshot)
    assert files["seen.txt"] == "The Item build 1"
    assert files["git.txt"] == "128"


def test_gate_output_is_complete_on_disk_and_shortened_in_the_result(kit: Kit) -> None:
    result = kit.run("", gates=bash("seq 1 20000; echo the end; false"))
    assert len(result.gates[0].output) < 3000
    assert "the end" in result.gates[0].output
    assert result.gates[0].output_file is not None
    assert (scratch_of(result) / "gates" / result.gates[0].output_file).stat().st_size > 100_000


def test_gate_that_hangs_is_an_error(kit: Kit) -> None:
    kit.settings = replace(kit.settings, gate_timeout_s=0.5)
    result = kit.run("", gates=bash("sleep 60"))
    assert result.outcome is Outcome.GATE_ERROR
    assert "timed out after 0.5s" in result.reason


def test_custom_gate_sees_the_change_since_the_step_began(kit: Kit) -> None:
    def no_todo(step: StepView) -> None:
        assert step.name == "build"
        assert not step.diff.added_lines_matching("TODO"), "finish what you started"

    kit.gates = {"no_todo": no_todo}
    gates = (GateSpec("no_todo"),)
    first = kit.run('write("a.py", "# TODO\\n")', gates=gates)
    second = kit.run('write("b.py", "1\\n")', gates=gates, attempt=2, base=first.snapshot, step_base=kit.base)
    third = kit.run('write("a.py", "\\n")', gates=gates, attempt=3, base=second.snapshot, step_base=kit.base)
    assert "finish what you started" in first.reason
    assert second.outcome is Outcome.GATE_FAILED
    assert third.passed, third.reason


def test_touched_checks_changes_of_all_attempts_of_the_step(kit: Kit) -> None:
    first = kit.run('write("tests/test_a.py", "")', gates=bash("false"))
    gates = (GateSpec("touched", "@tests"), GateSpec("untouched", "app.py"))
    second = kit.run("", gates=gates, attempt=2, base=first.snapshot, step_base=kit.base)
    assert second.passed, second.reason


def test_gate_runs_the_projects_command(kit: Kit) -> None:
    result = kit.run("", gates=(GateSpec("test"),), commands=(("test", "echo 3 passed; exit 0"),))
    assert result.passed
    assert result.gates[0].command == "echo 3 passed; exit 0"


# -- setup -----------------------------------------------------------------------------------------------------------


def test_setup_runs_once_in_a_new_worktree_and_its_files_remain(kit: Kit) -> None:
    setup = ("mkdir -p build && echo x >> build/tool",)
    gates = bash('test "$(wc -l < build/tool)" -eq 1')
    results = [kit.run("", setup=setup, gates=gates, attempt=number) for number in (1, 2)]
    assert [one.passed for one in results] == [True, True], [one.reason for one in results]


def test_failed_setup_is_an_error_and_runs_again_next_time(kit: Kit) -> None:
    first = kit.run("", setup=("echo no network; exit 4",))
    assert first.outcome is Outcome.GATE_ERROR
    assert first.reason == "setup failed: echo no network; exit 4: exit code 4: no network"
    assert first.usage.cost_usd is None
    second = kit.run("", setup=("touch build.log",), attempt=2, gates=bash("test -f build.log"))
    assert second.passed, second.reason


# -- guard no_write in a diff step -------------------------------------------------------------------------------------


def test_guard_no_write_rejects_any_change_of_a_diff_step(kit: Kit) -> None:
    result = kit.run('write("a.py", "")', limits=Limits(no_write=True))
    assert (result.outcome, result.guard) == (Outcome.GUARD, "no_write")
    assert result.tree == kit.git("rev-parse", f"{kit.base}^{{tree}}")


def test_worktree_is_outside_the_checkout(kit: Kit) -> None:
    result = kit.run('write("where.txt", os.getcwd())')
    assert kit.files(result.snapshot)["where.txt"] == os.path.realpath(kit.place / "slots" / "one")


@dataclass(frozen=True)
class WithRules(ScriptAgent):
    """Its program reads rules from a file, whose path is a variable."""

    def command(self, task: Task) -> Command:
        command = super().command(task)
        return replace(command, env={**command.env, "RULES": f"{task.folder}/rules"}, files={"rules": "größe"})


def test_files_of_a_command_are_in_the_attempts_folder_when_it_starts(kit: Kit) -> None:
    kit.agent = WithRules('write("seen.txt", os.environ["RULES"] + "\\n" + open(os.environ["RULES"]).read())')
    result = kit.run()
    place, _, rules = kit.files(result.snapshot)["seen.txt"].partition("\n")
    assert (Path(place).parent, rules) == (Path(str(result.scratch)), "größe")


def test_the_gates_python_comes_first_on_the_path_of_an_agent(kit: Kit) -> None:
    result = kit.run('write("path.txt", os.environ["PATH"])')
    first = kit.files(result.snapshot)["path.txt"].split(os.pathsep)[0]
    expected = own_python().get("PATH", os.environ["PATH"])
    assert first == expected.split(os.pathsep)[0]


@dataclass(frozen=True)
class CodexScript(ScriptAgent):
    def reader(self, task: Task) -> StreamReader:
        return CodexReader(task)


@pytest.mark.parametrize(
    ("status", "outcome"), [("429 Too Many Requests", Outcome.QUOTA), ("500 Internal Server Error", Outcome.GUARD)]
)
def test_an_agent_that_silently_waits_for_a_limit_is_out_of_quota(kit: Kit, status: str, outcome: Outcome) -> None:
    message = f"Reconnecting... 1/5 (exceeded retry limit, last status: {status})"
    kit.agent = CodexScript(f'say("error", message={message!r}); time.sleep(60)')
    result = kit.run(limits=Limits(silence_s=0.5))
    assert (result.outcome, result.guard) == (outcome, "silence" if outcome is Outcome.GUARD else None)


# -- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost_usd", [0.0, None])
def test_cost_of_an_answer_without_tokens_is_unknown_and_max_budget_says_so(kit: Kit, cost_usd: float | None) -> None:
    usage = f'say("usage", tokens={{"input": 0, "output": 0}}, cost_usd={cost_usd})'
    kit.script(f'say("started", model="claude-opus-4-6"); write("a.py", "1"); say("text", text="Done."); {usage}')
    result = kit.run(limits=Limits(max_budget=0.01))
    assert result.passed
    assert (result.usage.cost_usd, result.usage.provenance) == (None, "unknown")
    assert "the cost is unknown: 0 tokens cannot be those of 1 answer" in result.notes
    assert "max_budget does not include this attempt, because its cost is unknown" in result.notes


def test_cost_without_tokens_and_free_tokens_are_believed(kit: Kit) -> None:
    paid = kit.run('write("a.py", "1"); say("usage", tokens={}, cost_usd=0.25)', limits=Limits(max_budget=1.0))
    free = kit.run('write("a.py", "1"); say("usage", tokens={"input": 900, "output": 20}, cost_usd=0.0)')
    assert (paid.usage.cost_usd, free.usage.cost_usd) == (0.25, 0.0)
    assert (paid.notes, free.notes) == ((), ())


def test_recorded_cost_is_rounded_to_hundredths_of_a_cent(kit: Kit) -> None:
    """The figures of a report then add up."""
    costs = [
        kit.run(f'say("usage", tokens={{"input": 900, "output": 20}}, cost_usd={cost_usd})').usage.cost_usd
        for cost_usd in (0.0286123, 0.000001, 1.23456)
    ]
    assert costs == [0.0286, 0.0001, 1.2346]
