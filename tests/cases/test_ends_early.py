"""Hooks that end a session before, during or after its runs. The exit code is 0 only if the runs passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

GOOD = {"new.py": "x = 1\n"}


def test_exit_at_the_end_of_the_session_does_not_hide_a_failed_test(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": "def pytest_unconfigure():\n    raise SystemExit(0)\n",
            "test_bad.py": "def test_bad():\n    assert False\n",
        }
    )
    project.commit()
    project.answer("impl", writes=GOOD)
    result = project.run_apart("one", "test_bad.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("hook", "code", "line"),
    [
        ("pytest_collection_modifyitems(items):\n    raise ValueError('mine')", 3, "*ValueError: mine*"),
        ("pytest_collection_modifyitems(items):\n    pytest.exit('mine', returncode=0)", 1, "*Exit: mine*"),
        ("pytest_cmdline_main(config):\n    return 0", 1, "*another plugin ended the session before the run began*"),
    ],
    ids=["error in collection", "exit in collection", "no session"],
)
def test_hook_that_prevents_a_run_is_named_and_the_session_fails(
    project: GumpProject, hook: str, code: int, line: str
) -> None:
    project.write({"conftest.py": f"import pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef {hook}\n"})
    project.commit()
    result = project.run("one")
    assert result.ret == code
    assert any(line.strip("*") in text for text in (*result.outlines, *result.errlines)), result.outlines
    assert not project.folders()
