"""Copies of ignored files that a build needs, in whole sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import ONE

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

PARALLEL = """
name: beside
steps:
  - name: build
    parallel: true
    steps:
      - {name: a, agent: claude-haiku, prompt: A, gate: ["bash: grep -q PORT .env && cp .env seen.txt"]}
      - {name: b, agent: claude-haiku, prompt: B, gate: ["bash: grep -q PORT .env"]}
"""


@pytest.fixture
def with_env(project: GumpProject) -> GumpProject:
    project.write({".gitignore": "__pycache__/\n.pytest_cache/\n.env\n", ".worktreeinclude": ".env\nnotes.txt\n"})
    project.workflow("one", ONE.replace("[compile]", '[compile, "bash: grep -q PORT .env"]'))
    project.write({".env": "PORT=1\n", "notes.txt": "draft\n"})
    return project


def test_steps_and_preflight_see_current_copies_and_the_result_does_not_contain_them(
    with_env: GumpProject,
) -> None:
    with_env.answer("impl", writes={"app.py": "value = 2\n"})
    result = with_env.run("one")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*already fails on base*")
    result.stdout.fnmatch_lines(["note: not copied (git does not ignore it, *"])
    assert sorted(with_env.tree(with_env.record().head)) == sorted(with_env.tree("HEAD"))
    assert with_env.tree(with_env.record().head)["app.py"] == "value = 2"
    with_env.write({".env": "HOST=1\n"})
    result = with_env.run("one")
    result.stdout.fnmatch_lines(["already fails on base: bash: grep -q PORT .env*"])


def test_files_named_by_the_setting_are_copied_for_workers(with_env: GumpProject) -> None:
    (with_env.path / ".worktreeinclude").unlink()
    with_env.write({"gump.toml": '[gump]\ncopy = [".env"]\n'})
    with_env.workflow("beside", PARALLEL)
    with_env.answer("build::a", writes={"a.py": "a = 1\n"})
    with_env.answer("build::b", writes={"b.py": "b = 1\n"})
    with_env.run("beside", "-n1").assert_outcomes(passed=4)  # two of these are merges
    assert {"a.py", "b.py"} <= {*with_env.tree(with_env.record().head)}
    assert ".env" not in with_env.tree(with_env.record().head)
