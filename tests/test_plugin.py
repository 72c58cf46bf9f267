"""The plugin for a user of pytest: options, selection, verbosity, other tests in the session."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import BROKEN, ONE

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


def test_plain_pytest_in_a_repository_with_workflows_starts_no_run(project: GumpProject) -> None:
    result = project.pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.folders() == []


@pytest.mark.parametrize("where", ["ini", "environment"])
def test_neither_addopts_nor_the_environment_starts_an_agent(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "ini":
        project.write({"pytest.ini": "[pytest]\naddopts = --gump-workflow=one\n"})
    else:
        monkeypatch.setenv("PYTEST_ADDOPTS", "--gump-workflow=one")
    project.write({"test_ordinary.py": "def test_ordinary(): pass\n"})
    result = project.pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["gump: --gump-workflow outside the command line is ignored*"])
    assert project.folders() == []


def test_a_spec_is_collected_only_if_it_is_named(project: GumpProject) -> None:
    project.write({"docs/other.md": "# Other\n"})
    result = project.run("one", spec="docs")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gump-workflow names a workflow, but no spec is among the arguments"])


def test_a_missing_spec_is_named(project: GumpProject) -> None:
    result = project.run("one", spec="sepc.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the spec sepc.md does not exist"])


def test_an_unknown_workflow_is_a_usage_error_with_a_similar_name(project: GumpProject) -> None:
    result = project.run("onee")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no workflow 'onee'; looked in *", "  hint: did you mean 'one'?"])


def test_an_invalid_workflow_is_a_usage_error_with_file_line_and_column(project: GumpProject) -> None:
    project.workflow("one", ONE.replace("prompt:", "promt:"))
    result = project.run("one")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: .gump/workflows/one.yaml:5:5: unknown key 'promt'*", "  hint: did you mean 'prompt'?"]
    )
    assert project.folders() == []


def test_a_workflow_file_is_collected_with_its_spec(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.pytester.runpytest_inprocess(
        ".gump/workflows/one.yaml", "--gump-spec=spec.md", f"--gump-replay={project.cassette}"
    )
    result.assert_outcomes(passed=1)
    assert project.record().spec == "spec.md"


def test_a_workflow_file_uses_the_gates_of_the_conftest_of_its_spec(project: GumpProject) -> None:
    gates = "def pytest_gump_gates():\n    return {'own': lambda step: None}\n"
    project.write({"docs/spec.md": "# Spec\n", "docs/conftest.py": gates, "pytest.ini": "[pytest]\n"})
    path = project.workflow("own", "name: own\nsteps:\n  - name: check\n    gate: [own]\n")
    result = project.pytester.runpytest(str(path), "--gump-spec=docs/spec.md")
    result.assert_outcomes(passed=1)


def test_the_tree_of_a_plan_shows_templates(project: GumpProject) -> None:
    result = project.run("plan", "--collect-only")
    result.stdout.fnmatch_lines(
        [
            "*<JobFile spec.md>*",
            "*<WorkflowCollector plan>*",
            "*<StepItem decompose>*",
            "*<GroupCollector build>*",
            "*<StepItem tests[[]*[]]>*",
            "*<StepItem impl[[]*[]]>*",
            "*<StepItem quality>*",
        ]
    )
    assert project.folders() == []


def test_collect_only_quiet_lists_node_ids(project: GumpProject) -> None:
    result = project.run("plan", "--co", "-q")
    assert result.outlines[:4] == [
        "spec.md::plan::decompose",
        "spec.md::plan::build::tests[*]",
        "spec.md::plan::build::impl[*]",
        "spec.md::plan::quality",
    ]


def test_a_selection_runs_the_workflow_up_to_the_last_selected_step(project: GumpProject) -> None:
    project.plan("decompose", "one")
    result = project.run("plan", "-k", "decompose")
    assert result.parseoutcomes() == {"passed": 1, "deselected": 3}


def test_a_node_id_selects_a_step(project: GumpProject) -> None:
    project.plan("decompose", "one")
    result = project.run("plan", spec="spec.md::plan::decompose")
    assert result.parseoutcomes() == {"passed": 1}


def test_a_selection_without_a_required_step_is_refused(project: GumpProject) -> None:
    result = project.run("plan", "-k", "quality")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the selection leaves out 'decompose', which 'quality' builds on"])
    assert project.folders() == []


def test_ordinary_tests_run_first_and_durations_name_the_steps_of_one_agent(project: GumpProject) -> None:
    project.write({"test_ordinary.py": "def test_ordinary(): pass\n"})
    project.commit()
    project.answer("impl", agent="claude-sonnet", writes={"new.py": "x = 1\n"})
    words = ["--gump-agent=claude-sonnet", "--durations=0", "--durations-min=0", "test_ordinary.py"]
    result = project.run("one", *words)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_ordinary.py .*", "one on spec.md: run *", "✓ impl *"])
    result.stdout.fnmatch_lines(["*s call *spec.md::one::impl"])
    assert [one.agent for one in project.record().attempts] == ["claude-sonnet"]


def test_several_specs_are_several_runs(project: GumpProject) -> None:
    project.write({"other.md": "# Other\n"})
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "other.md")
    result.assert_outcomes(passed=2)
    assert [folder.read_header()["spec"] for folder in project.folders()] in (
        ["spec.md", "other.md"],
        ["other.md", "spec.md"],
    )


def test_x_stops_after_a_final_failure_of_the_first_run(project: GumpProject) -> None:
    project.write({"other.md": "# Other\n"})
    project.answer("impl", writes={"new.py": BROKEN})
    result = project.run("one", "-x", "other.md")
    result.assert_outcomes(failed=1)
    assert len(project.folders()) == 1
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_quiet_prints_only_the_result(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "-q")
    result.stdout.no_fnmatch_line("✓ impl*")
    result.stdout.fnmatch_lines(["run passed — *", "1 passed in *"])


def test_verbose_shows_gates_and_twice_verbose_the_tools_of_the_agent(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    once = project.run("one", "-v")
    once.stdout.fnmatch_lines(["*compile: passed 2 Python files compile*"])
    once.stdout.no_fnmatch_line("*Write new.py*")
    project.run("one", "-vv").stdout.fnmatch_lines(["*Write new.py*"])


def test_without_the_plugin_the_options_are_unknown(project: GumpProject) -> None:
    result = project.run_apart("one", "-p", "no:gump")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --gump-workflow=one*"])


def test_help_lists_the_options_in_their_own_group(project: GumpProject) -> None:
    result = project.pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["gump: workflows for AI coding agents:", "*--gump-workflow*NAME*", "*gump_test *"])


def test_an_option_replaces_one_agent_by_another(project: GumpProject) -> None:
    for attempt, text in enumerate((BROKEN, BROKEN + "#\n", "x = 1\n"), 1):
        project.answer("impl", attempt=attempt, writes={"new.py": text})
    project.run("retry", "--gump-agent=claude-sonnet=claude-opus").assert_outcomes(passed=1)
    assert [one.agent for one in project.record().attempts] == ["claude-haiku", "claude-haiku", "claude-opus"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--gump-agent=claude-opus=claude-haiku", "--gump-agent: no step uses agent 'claude-opus'"),
        ("--gump-agent=clod", "--gump-agent: unknown agent 'clod'*"),
        ("--gump-max-budget=free", "--gump-max-budget must be an amount in dollars above zero, not 'free'"),
        ("--gump-max-budget=0", "--gump-max-budget must be an amount in dollars above zero, not '0'"),
        ("--gump-input=a", "--gump-input 'a' is not KEY=VALUE"),
        ("--gump-input=a=b", "--gump-input: workflow 'one' has no input 'a'"),
        ("--gump-replay-delay=slow", "--gump-replay-delay must be a number of at least 0, not 'slow'"),
        ("--gump-base=nowhere", "*nowhere*"),
    ],
)
def test_an_invalid_option_is_a_usage_error(project: GumpProject, option: str, message: str) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert project.folders() == []


def test_an_input_is_in_the_prompt(project: GumpProject) -> None:
    project.workflow(
        "one", ONE.replace("steps:", "inputs:\n  size: {required: true}\nsteps:").replace("Do it.", "Make it {size}.")
    )
    project.answer("impl", writes={"new.py": "x = 1\n"})
    assert project.run("one").ret == pytest.ExitCode.USAGE_ERROR
    project.run("one", "--gump-input=size=large").assert_outcomes(passed=1)
    assert "Make it large." in project.prompt("impl")


def test_importing_the_plugin_imports_no_heavy_module() -> None:
    program = (
        "import pytest, sys; before = set(sys.modules); import pytest_gump.plugin\n"
        "heavy = {'pydantic', 'yaml', 'git', 'xdist', 'psutil', 'genai_prices', 'pathspec'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_session_without_a_workflow_imports_no_heavy_module(project: GumpProject) -> None:
    project.write(
        {
            "test_modules.py": "import sys\ndef test_modules():\n"
            "    assert not {'pydantic', 'yaml', 'git', 'genai_prices'} & set(sys.modules)\n"
        }
    )
    project.pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:anyio").assert_outcomes(passed=1)
