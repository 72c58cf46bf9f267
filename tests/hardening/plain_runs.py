"""A small workflow, a project for it, and checks that hold after each of its runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.cli.program import main

from tests.kits.processes import PYTEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest
    from pytest_gump.testing import GumpProject

ONE: Final = """\
name: one
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile]
    on_failure: {retry: 2}
"""


def prepare(project: GumpProject) -> GumpProject:
    """Add a file, the workflow `one`, and an agent that changes the file and adds another."""
    project.write({"app.py": "value = 1\n"})
    project.workflow("one", ONE)
    project.answer("impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n"})
    return project


def check_passed(project: GumpProject, result: pytest.RunResult) -> None:
    """Check that the run passed, and that it only added refs, objects and `.gump/runs`."""
    result.assert_outcomes(passed=1)
    tree = project.tree(project.record().head)
    assert (tree["app.py"], tree["new.py"]) == ("value = 2", "x = 1")
    changed = sorted(change.path for change in project.record().attempts[0].result.changed)  # type: ignore[union-attr]
    assert changed == ["app.py", "new.py"]
    assert project.git("status", "--porcelain") == ""


def apply(capsys: pytest.CaptureFixture[str]) -> str:
    """Apply the newest run in the current folder, and return the output."""
    capsys.readouterr()
    code = main(["apply"])
    output = capsys.readouterr()
    assert code == 0, output.err
    return output.out


def check_applied(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    """Apply the run, and check that the checkout has the change and is clean."""
    apply(capsys)
    assert (project.path / "app.py").read_text(encoding="utf-8").strip() == "value = 2"
    assert (project.path / "new.py").read_text(encoding="utf-8").strip() == "x = 1"
    assert project.git("status", "--porcelain") == ""


def check_refused(project: GumpProject, result: pytest.RunResult, *lines: str) -> None:
    """Check that no run started, and that the reason is one error without a traceback."""
    assert result.ret == 4, result.stdout.str()
    result.stderr.fnmatch_lines([f"ERROR: {line}" if number == 0 else line for number, line in enumerate(lines)])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert project.folders() == []


def move(project: GumpProject, place: Path) -> None:
    """Let the project, `run` and `main` use another checkout."""
    project.path = place
    os.chdir(place)


def session(
    project: GumpProject,
    *options: str,
    env: Mapping[str, str | None] | None = None,
    shell: str = 'exec "$@"',
    spec: str = "spec.md",
    user: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the workflow in a process of its own, started by a shell that may prepare it.

    `env` changes the environment, None removes a name. `user` is the prefix of a command that runs as another user.
    """
    environment = dict(os.environ)
    for name, value in (env or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    command = [*PYTEST, "--gump-workflow=one", f"--gump-replay={project.cassette}"]
    return subprocess.run(
        [*user, "bash", "-c", shell, "bash", *command, *options, spec],
        cwd=Path.cwd(),
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


def check_session(project: GumpProject, done: subprocess.CompletedProcess[str]) -> None:
    """Check that a session in a process of its own passed."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.record().status == "passed"
    tree = project.tree(project.record().head)
    assert (tree["app.py"], tree["new.py"]) == ("value = 2", "x = 1")
