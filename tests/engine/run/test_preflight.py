"""Gates run once on the unchanged base, before the first agent."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pytest_gump.units import format_duration

from tests.kits.workflows import BROKEN, ONE, PLAN

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


def test_command_that_cannot_run_ends_the_run_before_the_first_agent(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\ngump_compile = no-such-compiler --all\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*preflight: compile: command not found: no-such-compiler*",
            "hint: the worktrees of a run do not contain files that git ignores *",
            "*`setup:`*",
        ]
    )
    record = project.record()
    assert record.attempts == []
    assert (record.status, record.steps["impl"].outcome) == ("failed", "skipped")
    assert record.reason == "preflight: compile: command not found: no-such-compiler"


def test_gate_that_fails_on_the_base_is_reported_and_the_run_continues(
    project: GumpProject,
) -> None:
    project.write({"app.py": BROKEN})
    project.commit()
    project.answer("impl", writes={"app.py": "value = 1\n"})
    result = project.run("one")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["already fails on base: compile: 1 of 1 Python files do not compile", "✓ impl *"])
    words = [sys.executable, "-m", "pytest_gump", "report"]
    data = json.loads(project.pytester.run(*words, "--json").stdout.str())
    took = data["preflight"]["duration_s"]
    assert 0 < took < data["run"]["duration_s"]
    project.pytester.run(*words).stdout.fnmatch_lines([f"*s (preflight {format_duration(took)})*"])


def test_option_no_preflight_skips_the_preflight(project: GumpProject) -> None:
    project.write({"app.py": BROKEN})
    project.commit()
    project.answer("impl", writes={"app.py": "value = 1\n"})
    result = project.run("one", "--gump-no-preflight")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("already fails on base*")
    assert project.record().preflight is None


def test_gate_that_breaks_later_ends_the_run_without_another_attempt(project: GumpProject) -> None:
    project.write({"tool.sh": "exit 0\n"})
    project.workflow(
        "one", ONE.replace("[compile]", '["bash: sh tool.sh"]').rstrip() + "\n    on_failure: {retry: 3}\n"
    )
    project.answer("impl", writes={"tool.sh": "exit 127\n"})
    result = project.run("one")
    result.assert_outcomes(failed=1)
    record = project.record()
    assert len(record.attempts) == 1
    assert record.steps["impl"].outcome == "gate_error"


def test_setup_runs_once_in_a_new_worktree(project: GumpProject) -> None:
    setup = "setup:\n  - echo prepared >> setup.log\nsteps:"
    project.write({".gitignore": "__pycache__/\n.pytest_cache/\nsetup.log\n"})
    project.workflow(
        "plan",
        PLAN.replace("steps:", setup, 1).replace(
            "gate: [compile]\n", 'gate: [compile, "bash: test \\"$(cat setup.log)\\" = prepared"]\n'
        ),
    )
    project.plan("decompose", "one")
    project.answer("build::tests[one]", writes={"test_one.py": "import one\n"})
    project.answer("build::impl[one]", writes={"one.py": "x = 1\n"})
    project.run("plan").assert_outcomes(passed=4)


def test_gate_commands_of_a_run_are_from_its_base(project: GumpProject) -> None:
    project.write({"gump.toml": '[validation]\ncompile_cmd = "test ! -e forbidden"\n'})
    project.commit()
    project.answer("impl", writes={"forbidden": "x\n", "gump.toml": '[validation]\ncompile_cmd = "true"\n'})
    result = project.run("one")
    result.assert_outcomes(failed=1)


def test_parallel_group_without_workers_runs_serially_and_is_noted_once(project: GumpProject) -> None:
    project.workflow("plan", PLAN.replace("foreach: decompose", "foreach: decompose\n    parallel: true"))
    project.plan("decompose", "one", "two")
    for item in ("one", "two"):
        project.answer(f"build::tests[{item}]", writes={f"test_{item}.py": f"import {item}\n"})
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"})
    result = project.run("plan", "-n0")
    result.assert_outcomes(passed=8)
    assert str(result.stdout).count("parallel groups run one step at a time: there are no workers (-n)") == 1


SKIPS = """\
import pytest

speed = pytest.importorskip("app_speed")

def test_speed():
    assert speed.fast
"""


def test_skipped_tests_and_modules_missing_in_the_worktree_are_noted(project: GumpProject) -> None:
    project.write({".gitignore": "__pycache__/\n.pytest_cache/\napp_speed.py\n", "tests/test_speed.py": SKIPS})
    project.write({"tests/test_app.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): ...\n"})
    project.workflow("one", ONE.replace("[compile]", "[test]"))
    project.write({"app_speed.py": "fast = True\n"})
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one")
    preflight = project.record().preflight
    assert preflight is not None
    assert "test: 1 of 2 tests skipped in the worktree" in preflight["notes"]
    assert any("app_speed.py" in note and ".worktreeinclude" in note for note in preflight["notes"])
    project.write({".worktreeinclude": "app_speed.py\n"})
    project.run("one")
    again = project.record().preflight
    assert again is not None
    assert not any("app_speed.py" in note for note in again["notes"])


def test_failing_base_is_reported_before_the_first_agent_and_after_a_failed_run(project: GumpProject) -> None:
    project.write({"app.py": BROKEN})
    project.commit()
    project.answer("impl", writes={"other.py": "x = 1\n"})
    result = project.run("one")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "already fails on base: compile: 1 of 1 Python files do not compile",
            "note: compile fails before any agent starts: *",
            "? impl *",
            "compile failed before any agent started: 1 of 1 Python files do not compile",
        ]
    )


def test_setup_commands_of_the_settings_run_before_those_of_the_workflow(project: GumpProject) -> None:
    project.write(
        {".gitignore": "__pycache__/\n*.log\n", "pytest.ini": "[pytest]\ngump_setup = echo first > made.log\n"}
    )
    text = ONE.replace("steps:", "setup: ['cat made.log > more.log']\nsteps:")
    project.workflow("one", text.replace("[compile]", '["bash: grep first more.log"]'))
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one").assert_outcomes(passed=1)
