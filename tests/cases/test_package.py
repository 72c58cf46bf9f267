"""A session that starts in one package of a repository with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.mark.parametrize("folder", ["packages/api", "packages/api/tests"])
def test_gates_run_in_the_package_that_the_session_started_in(project: GumpProject, folder: str) -> None:
    for name in ("api", "web"):
        project.write(
            {
                f"packages/{name}/pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
                f"packages/{name}/core.py": f"name = {name!r}\n",
                f"packages/{name}/tests/test_core.py": f"import core\n\ndef test_name():\n    assert core.name == {name!r}\n",
            }
        )
    project.write({f"{folder}/spec.md": "# Spec\n"})
    steps = "steps:\n  - {name: change, agent: claude-haiku, prompt: Do it., gate: [compile, test]}\n"
    project.workflow("package", f"name: package\n{steps}")
    project.answer("change", writes={"packages/api/new.py": "x = 1\n"})
    replay = f"--gump-replay={project.cassette}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path / folder)
        result = project.pytester.runpytest_inprocess("-p", "no:xdist", "--gump-workflow=package", replay, "spec.md")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    (attempt,) = project.record().attempts
    assert attempt.result is not None
    commands = [gate.command for gate in attempt.result.gates]
    assert all(str(command).startswith("cd packages/api && ") for command in commands)
    assert attempt.result.gates[1].tests == {"collected": 1, "passed": 1}
