"""Command lines and settings of projects: argument files, addopts for ordinary tests, native TOML, invalid hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

MARKERS = "markers =\n    unit: fast\n    slow: slow\n"


@pytest.mark.parametrize(
    "addopts",
    ["-m unit", "-m 'not slow'", "-k unit", "--deselect=spec.md", "--ignore=spec.md", "--lf", "--doctest-glob=*.md"],
)
def test_addopts_for_ordinary_tests_deselect_no_step(project: GumpProject, addopts: str) -> None:
    project.write({"pytest.ini": f"[pytest]\naddopts = {addopts}\n{MARKERS}", "spec.md": "# Spec\n\n>>> 1 / 0\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 1}


def test_command_line_that_deselects_all_steps_has_a_message(project: GumpProject) -> None:
    result = project.run("one", "-m", "unit", "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["no step of one on spec.md is selected*"])
    assert project.folders() == []


def test_spec_in_a_folder_of_tests_is_not_a_doctest_on_a_worker(project: GumpProject) -> None:
    project.write({"spec.md": "# Spec\n\n>>> 1 / 0\n", "test_app.py": "def test_app(): pass\n"})
    project.write({"pytest.ini": "[pytest]\naddopts = --doctest-glob=*.md\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run_apart("one", "-n1", ".")
    assert result.parseoutcomes() == {"passed": 2}


@pytest.mark.parametrize("name", ["spec.txt", "spec.rst", "test_spec.txt"])
def test_spec_in_a_text_file_is_no_doctest(project: GumpProject, name: str) -> None:
    """pytest runs doctests of such files if the command line names them."""
    project.write({name: "Spec\n\n>>> 1 / 0\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    options = ["--gump-workflow=one", f"--gump-replay={project.cassette}", "-p", "no:xdist"]
    result = project.pytester.runpytest_inprocess(*options, name)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 1}


def test_arguments_are_read_from_a_file(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    lines = ["--gump-workflow=one", f"--gump-replay={project.cassette}", "spec.md"]
    project.write({"run.args": "\n".join(lines)})
    result = project.pytester.runpytest_inprocess("-p", "no:xdist", "@run.args")
    assert result.ret == pytest.ExitCode.OK
    assert project.record().status == "passed"


@pytest.mark.parametrize("option", ["--setup-plan", "--setup-only"])
def test_options_that_execute_no_test_start_no_run(project: GumpProject, option: str) -> None:
    result = project.run("one", option, "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option} executes no test*", "*hint: use --gump-dry-run *"])
    assert project.folders() == []


@pytest.mark.parametrize(("name", "head"), [("pyproject.toml", "[tool.pytest]"), ("pytest.toml", "[pytest]")])
def test_native_toml_settings_can_be_numbers_and_lists(project: GumpProject, name: str, head: str) -> None:
    if pytest.version_tuple < (9,):
        pytest.skip("native TOML tables came with pytest 9")
    project.write({name: f'{head}\ngump_max_items = 20\ngump_gate_env = ["CI"]\ngump_gate_timeout = 90\n'})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    assert project.run("one", "-p", "no:xdist").ret == pytest.ExitCode.OK
    project.write({name: f"{head}\ngump_max_items = [20]\n"})
    project.commit()
    result = project.run("one", "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: gump_max_items: must be a whole number above zero, not [[]20[]]"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return ['no_todo']", "*conftest.py: pytest_gump_gates returns a list, not a dict of names and functions*"),
        ("return {'no_todo': 1}", "*conftest.py: pytest_gump_gates returns a gate 'no_todo' that is not a function*"),
        ("return {}['x']", "*pytest_gump_gates raised KeyError: 'x' (*conftest.py:2)"),
    ],
)
def test_invalid_result_of_a_hook_is_an_error_that_names_the_conftest(
    project: GumpProject, body: str, message: str
) -> None:
    project.write({"conftest.py": f"def pytest_gump_gates():\n    {body}\n"})
    result = project.run("one", "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}", "  hint: see docs/reference/hooks.md, pytest_gump_gates"])
    assert "INTERNALERROR" not in result.stdout.str()


def test_spec_without_a_workflow_is_an_error_with_a_hint(project: GumpProject) -> None:
    result = project.pytester.runpytest_inprocess("spec.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*hint: spec.md is not a test; *pytest --gump-workflow=tdd spec.md"])


def test_dist_option_in_addopts_does_not_affect_a_run(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\naddopts = -n1 --dist=loadgroup\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    assert project.run_apart("one").ret == pytest.ExitCode.OK
    result = project.run_apart("one", "--dist=loadfile")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*hint: add --dist=load *"])
