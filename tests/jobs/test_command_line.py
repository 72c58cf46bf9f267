"""Command lines without a terminal, incomplete ones, and those of projects with tests that cannot be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import BROKEN

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

ELSEWHERE = "import what_only_the_environment_of_the_project_has\n"


@pytest.fixture
def untestable(project: GumpProject) -> GumpProject:
    """Return a project whose tests import a package that is not installed."""
    project.write({"tests/conftest.py": ELSEWHERE, "pytest.ini": "[pytest]\ntestpaths = tests\n"})
    project.commit()
    return project


@pytest.mark.parametrize("words", [(), ("-n", "1")], ids=["here", "on a worker"])
def test_resume_without_arguments_reads_no_conftest_of_ordinary_tests(
    untestable: GumpProject, words: tuple[str, ...]
) -> None:
    untestable.answer("impl", writes={"new.py": BROKEN})
    untestable.run_apart("one").assert_outcomes(failed=1)
    untestable.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    result = untestable.pytester.runpytest_subprocess("--gump-resume", *words)
    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    assert untestable.record().status == "passed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--gump-workflow=one",), "ERROR: --gump-workflow names a workflow, but no spec is among the arguments"),
        (("--gump-workflow=one", "sepc.md"), "ERROR: the spec sepc.md does not exist"),
        (("--gump-resume",), "ERROR: no runs in *"),
        (("--gump-from=impl",), "ERROR: no runs in *"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage_errors_are_shown_although_tests_cannot_be_imported(
    untestable: GumpProject, words: tuple[str, ...], message: str
) -> None:
    result = untestable.pytester.runpytest_subprocess(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_the_conftest_of_the_root_is_still_read(untestable: GumpProject) -> None:
    agents = "import pytest\n\ndef pytest_addoption(parser):\n    parser.addoption('--own', action='store_true')\n"
    untestable.write({"conftest.py": agents, "docs/notes.md": "notes\n"})
    result = untestable.pytester.runpytest_subprocess("--gump-resume", "--own")
    result.stderr.fnmatch_lines(["ERROR: no runs in *"])


def test_conftests_of_named_ordinary_tests_are_read(untestable: GumpProject) -> None:
    result = untestable.pytester.runpytest_subprocess("--gump-workflow=one", "spec.md", "tests")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ImportError while loading conftest*"])


@pytest.mark.parametrize("text", ["x = 1\n", BROKEN], ids=["passes", "fails"])
@pytest.mark.parametrize("words", [(), ("-n", "1")], ids=["here", "on a worker"])
def test_a_session_without_a_terminal_runs(project: GumpProject, words: tuple[str, ...], text: str) -> None:
    project.answer("impl", writes={"new.py": text})
    result = project.run_apart("one", "-p", "no:terminal", *words)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if text == BROKEN else pytest.ExitCode.OK)
    assert project.record().status == ("failed" if text == BROKEN else "passed")
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


@pytest.mark.parametrize("option", ["--gump-dry-run", "--gump-spec=spec.md", "--gump-max-budget=3"])
def test_an_option_of_a_run_without_a_workflow_runs_no_ordinary_tests(project: GumpProject, option: str) -> None:
    project.write({"test_ordinary.py": "def test_ordinary():\n    open('ran', 'w')\n"})
    result = project.pytester.runpytest_subprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = f"ERROR: {option.partition('=')[0]} needs a workflow, but the command line names none"
    result.stderr.fnmatch_lines([message, "  hint: add a workflow and a spec: pytest --gump-workflow=tdd spec.md"])
    assert not (project.path / "ran").exists()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_spec_in_utf_16_is_refused_before_the_run(project: GumpProject, encoding: str) -> None:
    (project.path / "spec.md").write_bytes("\ufeff# What to build\r\n".encode(encoding))
    result = project.run("one", "--gump-dirty=include")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: the spec *spec.md is UTF-16 text, which agents cannot read", "  hint: save it as UTF-8"]
    )
    assert project.folders() == []


def test_run_options_in_addopts_do_not_affect_plain_pytest(project: GumpProject) -> None:
    ini = "[pytest]\naddopts = --gump-max-budget=3 --gump-ci=off\n"
    project.write({"pytest.ini": ini, "test_ordinary.py": "def test_ordinary(): pass\n"})
    result = project.pytester.runpytest_subprocess("-n", "1")
    result.assert_outcomes(passed=1)
