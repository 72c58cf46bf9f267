from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import SessionRef, ToolCall, Turn, UsageSeen
from pytest_gump.engine.attempt.attempt import Cancelled, execute
from pytest_gump.engine.attempt.snapshots import attempt_ref, stored_result
from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.order import AttemptResult, ContextPart, Outcome, PlanItem, Section, from_wire, to_wire
from pytest_gump.settings.settings import Settings

from tests.engine.attempt_kit import GateSpec, Kit, Limits, bash, json_of, scratch_of
from tests.kits.processes import running
from tests.system.git_project import files_of, logging_git

if TYPE_CHECKING:
    from pytest_gump.order import Mode
    from pytest_gump.system.processes.process import Supervisor


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor) -> Kit:
    return Kit(tmp_path, supervisor)


def test_change_that_passes_its_gates_becomes_a_commit_on_the_base(kit: Kit) -> None:
    result = kit.run('write("new.py", "y = 2\\n"); spend(0.25)', gates=bash("test -f new.py"))
    assert (result.outcome, result.reason) == (Outcome.PASSED, "")
    assert kit.files(result.snapshot)["new.py"] == "y = 2"
    assert kit.git("rev-parse", f"{result.snapshot}^") == kit.base
    assert [(one.path, one.status, one.added) for one in result.changed] == [("new.py", "added", 1)]
    assert result.usage.cost_usd == 0.25
    assert result.usage.turns == 1
    assert (result.model, result.message) == ("test-model", "Done.")
    assert [gate.status for gate in result.gates] == ["passed"]


@pytest.mark.parametrize(
    ("script", "commands"),
    [("", ["add", "diff-files"]), ('write("b.py", "y = 2\\n")', ["add", "write-tree", "diff-tree", "diff-files"])],
    ids=["idle", "writer"],
)
def test_second_attempt_starts_few_git_processes(
    kit: Kit, script: str, commands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = kit.tools()
    execute(kit.order(gates=bash("true")), tools)
    for path in files_of(tools.slots.slot("one")):  # git reads files that are not older than its index
        os.utime(tools.slots.slot("one").path / path, (1e9, 1e9))
    execute(kit.order(gates=bash("true")), tools)
    git_commands = logging_git(tmp_path, monkeypatch)
    kit.script(script)
    assert execute(kit.order(gates=bash("true")), tools).tree is not None
    assert [words[0] for words in git_commands()] == commands


def test_checkout_is_not_changed(kit: Kit) -> None:
    before = kit.git("status", "--porcelain", "--branch"), kit.git("rev-parse", "HEAD"), kit.git("branch")
    kit.run('write("new.py", "y"); write("app.py", "z")', gates=bash("false"))
    assert (kit.git("status", "--porcelain", "--branch"), kit.git("rev-parse", "HEAD"), kit.git("branch")) == before


def test_failed_gate_is_summarized_in_one_line(kit: Kit) -> None:
    result = kit.run('write("new.py", "y")', gates=bash("echo broken here; false", "true"))
    assert result.outcome is Outcome.GATE_FAILED
    assert result.reason.startswith("bash: echo broken here; false failed: ")
    assert [gate.status for gate in result.gates] == ["failed", "passed"]
    assert "new.py" in kit.files(result.snapshot)


def test_gate_that_cannot_run_is_an_error_and_not_a_failure(kit: Kit) -> None:
    result = kit.run("", gates=bash("no-such-command-anywhere", "false"))
    assert result.outcome is Outcome.GATE_ERROR
    assert "could not run" in result.reason


def test_result_survives_serialization_and_is_written_to_the_scratch_folder(kit: Kit) -> None:
    result = kit.run('write("new.py", "y")', gates=bash("echo all fine"))
    assert from_wire(AttemptResult, json.loads(json.dumps(to_wire(result)))) == result
    folder = scratch_of(result)
    assert folder.parent == kit.scratch
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "prompt.md",
        "stream.ndjson",
        "stderr.txt",
        "result.json",
        "diff.patch",
        "gates/1-bash.txt",
    }
    assert "all fine" in (folder / "gates" / "1-bash.txt").read_text()
    assert "+y" in (folder / "diff.patch").read_text()
    assert json_of(folder / "result.json")["outcome"] == "passed"


def test_result_is_stored_in_the_snapshots_commit_message(kit: Kit) -> None:
    result = kit.run('write("new.py", "y"); spend(0.5)', gates=bash("false"))
    ref = attempt_ref(kit.order())
    assert ref == "refs/gump/run-1/attempts/build-a1"
    assert kit.git("rev-parse", ref) == result.snapshot
    assert result.snapshot is not None
    assert stored_result(kit.repository, result.snapshot) == replace(result, scratch=None)
    assert kit.git("log", "-1", "--format=%s", ref) == "gump: build attempt 1: gate_failed"


def test_other_commits_contain_no_result(kit: Kit) -> None:
    assert stored_result(kit.repository, kit.base) is None


def test_commits_made_by_the_agent_do_not_change_the_snapshot(kit: Kit) -> None:
    result = kit.run(
        """
        write("new.py", "y")
        for words in (["add", "-A"], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "mine"]):
            subprocess.run(["git", *words], check=True)
        """
    )
    assert result.passed
    assert kit.git("rev-parse", f"{result.snapshot}^") == kit.base
    assert "new.py" in kit.files(result.snapshot)


def test_attempt_reports_all_changes_since_the_step_began(kit: Kit) -> None:
    first = kit.run('write("one.py", "1")', gates=bash("false"))
    assert first.snapshot is not None
    second = kit.run('write("two.py", "2")', attempt=2, base=first.snapshot, step_base=kit.base)
    assert [one.path for one in second.changed] == ["one.py", "two.py"]
    assert "one.py" not in (scratch_of(second) / "diff.patch").read_text()


def test_only_displayed_events_are_passed_on(kit: Kit) -> None:
    kit.run('say("tool_call", tool="Write", path="a.py")')
    kinds = {type(event) for event in kit.events}
    assert Turn in kinds
    assert ToolCall in kinds
    assert kinds <= {Turn, ToolCall, UsageSeen, GateStarted, type(None)}, (
        "events that are not displayed are not passed on"
    )


@pytest.mark.parametrize("limit", ["max_budget", "max_tokens", "max_time"])
def test_agent_is_stopped_when_another_attempt_reaches_a_limit_of_the_run(kit: Kit, limit: str) -> None:
    kit.script('write("new.py", "y"); spend(0.5); time.sleep(60)')
    reason = f"the run's {limit} is spent"
    tools = replace(kit.tools(), stop_asked=lambda: reason if len(kit.events) > 3 else None)
    result = execute(kit.order(), tools)
    assert (result.outcome, result.reason, result.guard) == (Outcome.BUDGET, reason, limit)
    assert result.usage.cost_usd == 0.5
    assert "new.py" in kit.files(result.snapshot)
    assert result.timings.total_s < 30


# -- outcomes other than passed -------------------------------------------------------------------------------------


def test_failed_agent_is_an_agent_error_and_its_tree_is_kept(kit: Kit) -> None:
    kit.script('write("new.py", "y"); print("no key", file=sys.stderr); sys.exit(7)', finish=False)
    result = kit.run(gates=bash("true"))
    assert result.outcome is Outcome.AGENT_ERROR
    assert "no key" in result.reason
    assert "new.py" in kit.files(result.snapshot)
    assert result.gates == ()


def test_usage_limit_has_its_own_outcome(kit: Kit) -> None:
    kit.script('say("result", outcome="quota", reason="limit reached, resets 5pm", message="")', finish=False)
    result = kit.run()
    assert (result.outcome, result.reason) == (Outcome.QUOTA, "limit reached, resets 5pm")


def test_missing_program_is_an_agent_error(kit: Kit) -> None:
    kit.agent = replace(kit.agent, program="/no/such/agent")
    result = kit.run()
    assert result.outcome is Outcome.AGENT_ERROR
    assert "/no/such/agent" in result.reason


def test_turn_over_the_limit_stops_the_agent_and_its_cost_is_recorded(kit: Kit) -> None:
    kit.script('write("new.py", "y"); spend(0.1); say("turn"); say("turn"); time.sleep(60)', finish=False)
    result = kit.run(limits=Limits(max_turns=2), gates=bash("true"))
    assert result.outcome is Outcome.GUARD
    assert (result.guard, result.reason) == ("max_turns", "guard max_turns: turn 3 began, 2 are allowed")
    assert result.usage.cost_usd == 0.1
    assert "new.py" in kit.files(result.snapshot)
    assert result.gates == ()


def test_time_limit_ends_the_whole_process_tree(kit: Kit) -> None:
    mark = "marker-of-the-time-limit"
    kit.script(f'subprocess.Popen(["sh", "-c", "sleep 300; exit", "{mark}"], start_new_session=True); time.sleep(60)')
    result = kit.run(limits=Limits(max_time_s=0.5))
    assert (result.outcome, result.guard) == (Outcome.GUARD, "max_time")
    assert running(mark) == []


def test_silent_agent_is_stopped(kit: Kit) -> None:
    kit.script("time.sleep(60)", finish=False)
    result = kit.run(limits=Limits(silence_s=0.5))
    assert result.guard == "silence"


def test_agent_that_only_reports_waiting_counts_as_silent(kit: Kit) -> None:
    kit.script(
        """
number = 0
while True:
    number += 1
    say("note", text=f"reconnecting, attempt {number}")
    time.sleep(0.1)
""",
        finish=False,
    )
    assert kit.run(limits=Limits(silence_s=0.6, max_time_s=20)).guard == "silence"


def test_cost_reported_only_at_the_end_counts_for_the_budget(kit: Kit) -> None:
    kit.script('say("result", outcome="ok", message="", usage={"cost_usd": 0.9})', finish=False)
    result = kit.run(limits=Limits(max_budget=0.5))
    assert (result.outcome, result.guard) == (Outcome.GUARD, "max_budget")


def test_exceeded_run_budget_has_the_outcome_budget_and_not_guard(kit: Kit) -> None:
    kit.script("spend(0.9); time.sleep(60)")
    result = kit.run(limits=Limits(max_budget=0.5, budget_scope="run"))
    assert (result.outcome, result.reason) == (Outcome.BUDGET, "the run's max_budget: $0.90 spent of $0.50")


def test_leftover_processes_are_ended_and_noted(kit: Kit) -> None:
    mark = "marker-of-a-leftover"
    result = kit.run(f'subprocess.Popen(["sh", "-c", "sleep 300; exit", "{mark}"], start_new_session=True)')
    assert result.passed
    assert running(mark) == []
    assert any("left running" in note for note in result.notes)


def test_interrupt_of_an_agent_keeps_tree_and_cost(kit: Kit) -> None:
    kit.script(f'write("new.py", "y"); spend(0.3); time.sleep(0.5); os.kill({os.getpid()}, 2); time.sleep(60)')
    with pytest.raises(Cancelled) as caught:
        execute(kit.order(gates=bash("true")), kit.tools())
    result = caught.value.result
    assert isinstance(caught.value, KeyboardInterrupt)
    assert result.outcome is Outcome.CANCELLED
    assert result.usage.cost_usd == 0.3
    assert "new.py" in kit.files(result.snapshot)
    assert result.gates == ()


def test_interrupt_of_a_gate_keeps_the_agents_tree_and_cost(kit: Kit) -> None:
    mark = "marker-of-an-interrupted-gate"
    kit.script('write("new.py", "y"); spend(0.3)')
    gates = bash(f"kill -INT {os.getpid()}; echo x > left.txt; sleep 300; echo {mark}")
    with pytest.raises(Cancelled) as caught:
        execute(kit.order(gates=gates), kit.tools())
    result = caught.value.result
    assert result.outcome is Outcome.CANCELLED
    assert result.usage.cost_usd == 0.3
    assert "new.py" in kit.files(result.snapshot)
    assert "left.txt" not in kit.files(result.snapshot)
    assert running(mark) == []


def test_interrupt_during_setup_leaves_no_incomplete_worktree(kit: Kit) -> None:
    with pytest.raises(Cancelled) as caught:
        execute(kit.order(setup=(f"kill -INT {os.getpid()}; sleep 60",)), kit.tools())
    assert caught.value.result.snapshot is None
    assert not (kit.place / "slots" / "one").exists()


# -- modes ---------------------------------------------------------------------------------------------------------


def test_plan_is_read_and_checked(kit: Kit) -> None:
    plan = json.dumps([{"name": "First Part", "description": "do it", "files": ["src/"]}])
    result = kit.run(f"write('.gump/out/plan.json', {plan!r})", mode="plan", gates=(GateSpec("schema"),))
    assert result.passed, result.reason
    assert result.plan == (PlanItem("First Part", "first-part", "do it", ("src/",)),)
    assert result.changed == ()
    assert not any(name.startswith(".gump") for name in kit.files(result.snapshot))
    assert (scratch_of(result) / "out" / "plan.json").is_file()


def test_missing_plan_is_invalid_output_and_gates_do_not_run(kit: Kit) -> None:
    result = kit.run("", mode="plan", gates=bash("true"))
    assert result.outcome is Outcome.OUTPUT_INVALID
    assert result.reason.startswith("no .gump/out/plan.json was written")
    assert result.gates == ()


def test_output_file_of_an_earlier_attempt_is_not_used(kit: Kit) -> None:
    kit.run('write(".gump/out/review.json", json.dumps({"pass": True}))', mode="review")
    result = kit.run("", mode="review", attempt=2)
    assert result.outcome is Outcome.OUTPUT_INVALID


def test_output_file_that_is_a_link_is_refused(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text('{"pass": true}')
    result = kit.run(f'os.symlink("{tmp_path}/outside.json", ".gump/out/review.json")', mode="review")
    assert result.outcome is Outcome.OUTPUT_INVALID


def test_failing_verdict_ends_the_attempt_before_its_gates(kit: Kit) -> None:
    verdict = json.dumps({"pass": False, "comment": "line 3 is wrong"})
    result = kit.run(f"write('.gump/out/review.json', {verdict!r})", mode="review", gates=bash("true"))
    assert (result.outcome, result.reason) == (Outcome.REVIEW_FAILED, "review did not pass: line 3 is wrong")
    assert result.verdict is not None
    assert result.gates == ()


def test_artifact_is_read_as_text(kit: Kit) -> None:
    result = kit.run('write(".gump/out/artifact.txt", "findings")', mode="artifact")
    assert result.passed
    assert result.artifact == "findings"


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_change_in_a_read_only_step_is_rolled_back(kit: Kit, mode: Mode) -> None:
    result = kit.run('write("sneaky.py", "y"); write(".gump/out/artifact.txt", "")', mode=mode)
    assert (result.outcome, result.guard) == (Outcome.GUARD, "no_write")
    assert result.reason == "guard no_write: changed sneaky.py"
    assert "sneaky.py" not in kit.files(result.snapshot)
    assert result.tree == kit.git("rev-parse", f"{kit.base}^{{tree}}")
    assert result.changed == ()
    assert "sneaky.py" in kit.files(f"{attempt_ref(kit.order())}-dropped")
    assert not (kit.place / "slots" / "one" / "sneaky.py").exists()


def test_write_in_a_read_only_step_stops_the_agent(kit: Kit) -> None:
    kit.script('say("tool_call", tool="Write", path="src/a.py"); time.sleep(60)')
    result = kit.run(mode="review", limits=Limits(no_write=True))
    assert (result.outcome, result.guard) == (Outcome.GUARD, "no_write")
    assert result.reason == "guard no_write: Write writes 'src/a.py'"


def test_writing_the_output_file_by_its_absolute_path_is_allowed(kit: Kit) -> None:
    result = kit.run(
        """
        write(".gump/out/review.json", json.dumps({"pass": True}))
        say("tool_call", tool="Write", path=os.path.abspath(".gump/out/review.json"))
        """,
        mode="review",
        limits=Limits(no_write=True),
    )
    assert result.passed, result.reason


# -- gate-only steps and preflight -----------------------------------------------------------------------------------


def test_gate_only_step_runs_without_an_agent_and_makes_no_snapshot(kit: Kit) -> None:
    base = kit.commit({"later.py": "1\n"})
    result = kit.run(mode="gate", agent=None, base=base, step_base=base, gates=(GateSpec("touched", "later.py"),))
    assert result.passed, result.reason
    assert result.snapshot is None
    assert result.tree == kit.git("rev-parse", f"{base}^{{tree}}")
    assert [one.path for one in result.changed] == ["later.py"]


def test_preflight_runs_gates_on_the_unchanged_base(kit: Kit) -> None:
    result = kit.run(mode="gate", agent=None, setup_only=True, gates=bash("grep -q 'x = 1' app.py", "false"))
    assert [gate.status for gate in result.gates] == ["passed", "failed"]
    assert result.snapshot is None
    assert kit.repository.refs("refs/gump") == {}


# -- prompt ----------------------------------------------------------------------------------------------------------


def test_prompt_contains_conventions_and_context(kit: Kit) -> None:
    base = kit.commit({".gump/conventions.md": "use tabs\n", "notes.txt": "remember\n"})
    agent = kit.script("")
    result = kit.run(
        base=base,
        context=(
            ContextPart(file="./notes.txt"),
            ContextPart(workflow="look", text="It has ```three``` layers."),
            ContextPart(bash="echo $GUMP_STEP; echo oops >&2; exit 3"),
        ),
    )
    prompt = agent.tasks[-1].prompt
    assert result.passed, result.reason
    assert "## Your task\n\nChange it.\n\n## Project conventions\n\nuse tabs" in prompt
    assert "### File `./notes.txt`\n\n```\nremember\n```" in prompt
    assert "### Output of workflow `look`\n\n````\nIt has ```three``` layers.\n````" in prompt
    assert "```\nbuild\n```\n\nThe command failed: exit code 3: oops" in prompt
    assert (scratch_of(result) / "prompt.md").read_text() == prompt


@pytest.mark.parametrize("name", ["nope.txt", "../project/app.py", "/etc/hostname", "link.txt", ""])
def test_unreadable_context_file_fails_the_attempt_before_the_agent_starts(kit: Kit, name: str) -> None:
    (kit.root / "link.txt").symlink_to("app.py")
    base = kit.commit({})
    agent = kit.script("")
    result = kit.run(base=base, context=(ContextPart(file=name),))
    assert result.outcome is Outcome.AGENT_ERROR
    assert result.reason.startswith(f"context file {name}".rstrip())
    assert agent.tasks == []


def test_changes_made_by_context_commands_are_not_the_agents(kit: Kit) -> None:
    result = kit.run("", context=(ContextPart(bash="echo 1 > left.txt; echo 2 >> app.py"),))
    assert result.changed == ()


def test_slow_context_command_is_stopped_and_the_prompt_says_so(kit: Kit) -> None:
    kit.settings = replace(kit.settings, context_timeout_s=0.3)
    agent = kit.script("")
    assert kit.run(context=(ContextPart(bash="echo begun; sleep 60"),)).passed
    assert "begun" in agent.tasks[-1].prompt
    assert "The command failed: timed out after 0.3s" in agent.tasks[-1].prompt


def test_prompt_key_is_passed_to_the_agent(kit: Kit) -> None:
    agent = kit.script("")
    kit.run(head=(Section("Your task", "Do 17."), Section("What failed", "everything"), Section("Rules", "None.")))
    assert "everything" in agent.tasks[-1].prompt
    assert agent.tasks[-1].prompt_key == "## Your task\n\nDo 17.\n\n## Rules\n\nNone.\n"


# -- conversations ---------------------------------------------------------------------------------------------------


def test_conversation_is_passed_to_the_next_attempt_with_its_slot(kit: Kit) -> None:
    first = kit.run("")
    assert first.session is not None
    assert (first.session.id, first.session.slot) == ("session-1", "one")
    agent = kit.script("")
    kit.run(attempt=2, session=first.session)
    assert agent.tasks[-1].session == first.session


def test_conversation_of_another_slot_is_not_resumed_and_a_note_says_so(kit: Kit) -> None:
    agent = kit.script("")
    result = kit.run(session=SessionRef("s", "replay", "other"))
    assert agent.tasks[-1].session is None
    assert "the conversation belongs to another worktree: started a new one" in result.notes


def test_agent_with_endless_output_is_stopped_before_it_fills_the_disk(kit: Kit) -> None:
    kit.settings = Settings(stop_grace_s=0.5, stream_bytes=3_000_000)
    result = kit.run("write('kept.py', '')\nwhile True: say('text', text='x' * 1000)")
    assert (result.outcome, result.reason) == ("agent_error", "stopped: it printed more than 3 MB (gump_stream_bytes)")
    stream = Path(str(result.scratch), "stream.ndjson")
    assert 2_500_000 < stream.stat().st_size <= 3_000_000
    assert "kept.py" in kit.files(result.snapshot)


def test_agent_that_prints_too_many_lines_is_stopped_and_its_cost_is_kept(kit: Kit) -> None:
    kit.settings = Settings(stop_grace_s=0.5, stream_lines=2000)
    used = "say('usage', tokens={'input': 10}, cost_usd=0.25)\n"
    result = kit.run(f"{used}while True: sys.stdout.write('{{}}\\n')")
    assert (result.outcome, result.usage.cost_usd) == ("agent_error", 0.25)
    assert result.reason == "stopped: it printed more than 2000 lines (gump_stream_lines)"


def test_gate_with_endless_output_is_a_gate_error_that_names_the_setting(kit: Kit) -> None:
    kit.settings = Settings(stop_grace_s=0.5, stream_bytes=3_000_000)
    result = kit.run("write('new.py', '')", gates=bash("yes"))
    assert result.outcome == "gate_error"
    assert "it printed more than 3 MB (gump_stream_bytes)" in result.reason
    assert Path(str(result.scratch), "gates", "1-bash.txt").stat().st_size <= 3_000_000


HANGING = "write('new.py', '')\nsay('result', outcome='ok', message='Done.')\nimport time\ntime.sleep(60)"


def test_result_of_a_cli_that_does_not_exit_is_used(kit: Kit) -> None:
    kit.settings = Settings(end_grace_s=0.5)
    kit.script(HANGING, finish=False)
    result = kit.run()
    assert (result.outcome, result.message) == ("passed", "Done.")
    assert "the CLI did not exit after its final event and was ended; its result counts" in result.notes


@pytest.mark.parametrize("limits", [Limits(silence_s=0.5), Limits(max_time_s=1.0)])
def test_time_limit_after_the_final_event_ends_the_cli_and_not_the_attempt(kit: Kit, limits: Limits) -> None:
    kit.script(HANGING, finish=False)
    assert kit.run(limits=limits).outcome == "passed"


def test_failure_reported_by_a_hanging_cli_remains_a_failure(kit: Kit) -> None:
    kit.settings = Settings(end_grace_s=0.5)
    kit.script(HANGING.replace("'ok'", "'error'"), finish=False)
    assert kit.run().outcome == "agent_error"
