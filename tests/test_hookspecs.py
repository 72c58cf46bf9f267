"""Hooks in the conftest of a project: gates, retries, and notifications during a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump import hookspecs

from tests.kits.workflows import BROKEN, ONE, RETRY

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


def test_a_gate_of_the_conftest_fails_with_assertion_introspection(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": "def pytest_gump_gates():\n    return {'no_todo': no_todo}\n\n\n"
            "def no_todo(step):\n    found = step.diff.added_lines_matching('TODO')\n    assert len(found) == 0, 'finish it'\n"
        }
    )
    project.workflow("one", ONE.replace("[compile]", "[compile, no_todo]"))
    project.answer("impl", writes={"new.py": "x = 1  # TODO\n"})
    result = project.run("one")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no_todo failed: finish it*", "*assert 1 == 0*"])


def test_an_unknown_gate_is_refused_with_a_similar_name(project: GumpProject) -> None:
    project.write({"conftest.py": "def pytest_gump_gates():\n    return {'no_todo': print}\n"})
    project.workflow("one", ONE.replace("[compile]", "[no_tood]"))
    result = project.run("one")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unknown gate 'no_tood'*", "*no_todo*"])


def test_a_hook_can_stop_a_retry(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": "from pytest_gump import Stop\ndef pytest_gump_retry(step, failures):\n    return Stop('enough')\n"
        }
    )
    project.commit()
    project.answer("impl", writes={"new.py": BROKEN})
    project.run("retry").assert_outcomes(failed=1)
    assert len(project.record().attempts) == 1


def test_a_hook_can_choose_another_agent(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": "from pytest_gump import Retry\ndef pytest_gump_retry(step, path, failures):\n"
            "    if failures[-1].gate == 'compile' and path == 'impl':\n        return Retry(agent='claude-opus', worktree='reset')\n"
        }
    )
    project.commit()
    project.answer("impl", writes={"new.py": BROKEN})
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    project.run("retry").assert_outcomes(passed=1)
    assert [one.agent for one in project.record().attempts] == ["claude-haiku", "claude-opus"]


def test_a_hook_cannot_exceed_the_limits(project: GumpProject) -> None:
    project.write(
        {"conftest.py": "from pytest_gump import Retry\ndef pytest_gump_retry(step, failures):\n    return Retry()\n"}
    )
    project.workflow("retry", RETRY)
    for attempt in range(1, 6):
        project.answer("impl", attempt=attempt, writes={"new.py": BROKEN + f"# {attempt}\n"})
    project.run("retry").assert_outcomes(failed=1)
    assert len(project.record().attempts) == 3


def test_hooks_are_called_for_attempts_and_the_end_of_a_run(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": "def note(text):\n    with open('told.txt', 'a') as file:\n        file.write(text + '\\n')\n\n\n"
            "def pytest_gump_attempt_started(order):\n    note(f'start {order.step} {order.attempt}')\n\n\n"
            "def pytest_gump_attempt_finished(order, result):\n    note(f'end {result.outcome}')\n\n\n"
            "def pytest_gump_run_finished(run):\n    note(f'run {run.status} {run.total.cost_usd}')\n"
        }
    )
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one")
    notes = (project.path / "told.txt").read_text(encoding="utf-8")
    assert notes == "start impl 1\nend passed\nrun passed 0.01\n"


def test_each_hook_and_its_arguments_are_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    names = [name for name in dir(hookspecs) if name.startswith("pytest_gump")]
    assert len(names) >= 6
    for name in names:
        code = getattr(hookspecs, name).__code__
        signature = f"{name}({', '.join(code.co_varnames[: code.co_argcount])})"
        assert f"### `{signature}`" in page


@pytest.mark.parametrize(
    ("answer", "message"),
    [("True", "pytest_gump_retry returned True, which is neither Retry nor Stop"), ("Retry(agent='clod')", "*clod*")],
)
def test_a_wrong_result_of_a_hook_fails_the_step_with_a_message(
    project: GumpProject, answer: str, message: str
) -> None:
    project.write(
        {"conftest.py": f"from pytest_gump import Retry\ndef pytest_gump_retry(step, failures):\n    return {answer}\n"}
    )
    project.commit()
    project.answer("impl", writes={"new.py": BROKEN})
    result = project.run("retry")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{message}*"])
