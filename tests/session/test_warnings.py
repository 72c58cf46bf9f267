"""Warnings that the user turns into errors apply to tests only, and must not fail an attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

CONFTEST = r"""
import dataclasses, json, threading, time, warnings
from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader, conversation

class Litter:
    def __del__(self):
        raise ValueError("litter")

@dataclasses.dataclass(frozen=True)
class Littering:
    name: str = "littering"
    cli: str = "replay"
    cost: str = "reported"

    def missing(self):
        return None

    def command(self, task):
        KIND
        lines = [json.dumps(event) for event in conversation("Done.")]
        return Command(("/bin/sh", "-c", "echo 'x = 2' > new.py; printf '%s\\n' \"$@\"", "sh", *lines))

    def reader(self, task):
        return NeutralReader(task, cli=self.cli)

def pytest_collection_finish():
    EARLY

def pytest_gump_agents():
    return {"littering": Littering()}
"""


@pytest.mark.parametrize(
    "kind",
    [
        "Litter()",
        "Litter() # early",
        "warnings.warn(DeprecationWarning('old'))",
        "threading.Thread(target=int, args=('x',)).start()",
    ],
    ids=["unraisable", "unraisable before", "warning", "thread"],
)
@pytest.mark.parametrize("how", ["ini", "command line"])
def test_warning_that_is_an_error_in_tests_does_not_fail_an_attempt(project: GumpProject, kind: str, how: str) -> None:
    early, now = (kind, "pass") if "early" in kind else ("pass", kind)
    project.write({"conftest.py": CONFTEST.replace("KIND", now).replace("EARLY", early)})
    options = ["-W", "error"] if how == "command line" else []
    if how == "ini":
        project.write({"pytest.ini": "[pytest]\nfilterwarnings = error\n"})
    project.workflow("one", "name: one\nsteps:\n  - {name: impl, agent: littering, prompt: Do it.}\n")
    result = project.pytester.runpytest_inprocess("--gump-workflow=one", *options, "spec.md")
    result.assert_outcomes(passed=1)
    assert [one.result and one.result.outcome for step in project.record().steps.values() for one in step.attempts] == [
        "passed"
    ]


def test_workflows_are_collected_without_the_warnings_plugin(project: GumpProject) -> None:
    options = ("-p", "no:warnings", "--strict-markers", "--collect-only", "-q")
    result = project.pytester.runpytest_subprocess("--gump-workflow=one", *options, "spec.md")
    result.stdout.fnmatch_lines(["spec.md::one::impl"])
