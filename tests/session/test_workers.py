"""Beside xdist: until workers can run steps, a session that asks for workers is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

REFUSAL = "ERROR: xdist workers for workflows come later; run without -n, or with -n0"


@pytest.mark.parametrize("options", [["-n2"], ["-n", "auto"], ["--dist=load", "--tx=2*popen"]])
def test_workers_are_refused_before_anything_starts(project: GumpProject, options: list[str]) -> None:
    result = project.run_apart("one", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([REFUSAL])
    assert project.folders() == []


def test_workers_of_the_ini_file_can_be_taken_back(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\naddopts = -n2\n"})
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run_apart("one").stderr.fnmatch_lines([REFUSAL])
    project.run_apart("one", "-n0").assert_outcomes(passed=1)


def test_a_session_without_xdist_runs(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run_apart("one", "-p", "no:xdist").assert_outcomes(passed=1)


def test_a_collection_needs_no_workers(project: GumpProject) -> None:
    result = project.run_apart("one", "--co", "-q", "-n2")
    assert result.outlines[0] == "spec.md::one::impl"
    assert result.ret == pytest.ExitCode.OK


def test_workers_run_ordinary_tests_as_always(project: GumpProject) -> None:
    project.write({"test_ordinary.py": "def test_one(): pass\ndef test_two(): pass\n"})
    project.pytester.runpytest_subprocess("-n2").assert_outcomes(passed=2)
