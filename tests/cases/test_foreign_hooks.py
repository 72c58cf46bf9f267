"""Hooks of other plugins around a step do not change, lose or repeat an attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import BROKEN

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

SKIPS = "import pytest\n\ndef pytest_runtest_setup(item):\n    pytest.skip('not today')\n"
MARKS = (
    "import pytest\n\ndef pytest_collection_modifyitems(items):\n"
    "    for item in items:\n        item.add_marker(pytest.mark.{mark}(reason='not today'))\n"
)
RAISES = "def {hook}(item):\n    raise RuntimeError('not today')\n"
REPORTING = (
    "import pytest\n\n@pytest.hookimpl(wrapper=True)\ndef {hook}:\n    yield\n    raise RuntimeError('not today')\n"
)
TAKES_OVER = (
    "import pytest\n\nclass Greedy:\n    @pytest.hookimpl(tryfirst=True)\n"
    "    def pytest_runtest_protocol(self, item, nextitem):\n        {body}\n        return True\n\n"
    "def pytest_gump_attempt_started(order):\n    CONFIG.pluginmanager.register(Greedy())\n\n"
    "def pytest_configure(config):\n    global CONFIG\n    CONFIG = config\n"
)
TWICE = "for _ in range(2): item.ihook.pytest_runtest_call(item=item)"
LOGS = (
    "item.ihook.pytest_runtest_logreport(report=pytest.TestReport.from_item_and_call("
    "item, pytest.CallInfo.from_call(lambda: 1 / 0, 'call')))"
)
CONFTESTS = {
    "skip in set-up": SKIPS,
    "skip mark": MARKS.format(mark="skip"),
    "xfail mark": MARKS.format(mark="xfail"),
    "strict xfail mark": MARKS.format(mark="xfail").replace("reason=", "strict=True, reason="),
    "set-up raises": RAISES.format(hook="pytest_runtest_setup"),
    "call raises": RAISES.format(hook="pytest_runtest_call"),
    "teardown raises": RAISES.format(hook="pytest_runtest_teardown"),
    "report raises": REPORTING.format(hook="pytest_runtest_makereport(item, call)"),
    "log raises": REPORTING.format(hook="pytest_runtest_logreport(report)"),
    "protocol raises": REPORTING.format(hook="pytest_runtest_protocol(item)"),
    "protocol calls twice": TAKES_OVER.format(body=TWICE),
    "protocol logs": TAKES_OVER.format(body=LOGS),
    "nothing collected": "def pytest_collection_modifyitems(items):\n    items[:] = []\n",
    "ours raise": (
        "def pytest_gump_attempt_started(order):\n    raise RuntimeError('not today')\n\n"
        "def pytest_gump_attempt_finished(order):\n    raise RuntimeError('not today')\n\n"
        "def pytest_gump_run_finished(run):\n    raise RuntimeError('not today')\n"
    ),
}
SILENT = {"nothing collected", "protocol calls twice", "protocol logs"}
UNCHANGED = {("xfail mark", True), ("call raises", False)}
"""Hooks with the same outcome as the attempt."""


@pytest.mark.parametrize("passes", [True, False], ids=["passes", "fails"])
@pytest.mark.parametrize("name", CONFTESTS)
def test_hook_of_another_plugin_does_not_change_a_result(project: GumpProject, name: str, passes: bool) -> None:
    project.write({"conftest.py": CONFTESTS[name]})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n" if passes else BROKEN})
    result = project.run("one", "-p", "no:xdist")
    status = "passed" if passes else "failed"
    assert (result.ret, project.record().status) == (0 if passes else 1, status), result.stdout.str()
    outcomes = [str(one.result.outcome) for one in project.record().attempts if one.result]
    assert outcomes == ["passed" if passes else "gate_failed"]
    assert f"1 {status}" in result.outlines[-1]
    if name not in SILENT and (name, passes) not in UNCHANGED:
        result.stdout.fnmatch_lines(["*not today*"])


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("hook", ["setup", "teardown"])
def test_exit_in_a_hook_records_the_attempt_and_ends_the_session(project: GumpProject, hook: str, code: int) -> None:
    exits = f"import pytest\n\ndef pytest_runtest_{hook}(item):\n    pytest.exit('enough', returncode={code})\n"
    project.write({"conftest.py": exits})
    project.commit()
    project.answer("impl", writes={"new.py": BROKEN})
    result = project.run("retry", "-p", "no:xdist")
    assert result.ret in (1, 3)
    assert [str(one.result.outcome) for one in project.record().attempts if one.result] == ["gate_failed"]
    assert project.record().status == "cancelled"


def test_retry_hook_that_raises_fails_the_step_with_the_error(project: GumpProject) -> None:
    project.write({"conftest.py": "def pytest_gump_retry(step):\n    raise KeyError('name')\n"})
    project.commit()
    project.answer("impl", writes={"new.py": BROKEN})
    result = project.run("retry", "-p", "no:xdist")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pytest_gump_retry raised KeyError: 'name'*"])


@pytest.mark.parametrize("name", ["skip in set-up", "report raises"])
def test_result_of_a_worker_is_recorded_once_despite_hooks(project: GumpProject, name: str) -> None:
    project.write({"conftest.py": CONFTESTS[name]})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run_apart("one", "-n1")
    assert result.ret == 0
    assert [str(one.result.outcome) for one in project.record().attempts if one.result] == ["passed"]
