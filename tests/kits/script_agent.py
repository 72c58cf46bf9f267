"""The conftest of an agent `script`: a Python file with step, item and attempt as arguments and the prompt on stdin."""

from __future__ import annotations

from typing import Final

CONFTEST: Final = """\
import sys

from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader


class Script:
    name = cli = "script"
    cost = "reported"

    def missing(self):
        return None

    def command(self, task):
        words = (task.step.split("[")[0], task.item or "", str(task.attempt))
        return Command((sys.executable, {script!r}, *words), stdin=task.prompt.encode())

    def reader(self, task):
        return NeutralReader(task, cli=self.cli)


def pytest_gump_agents():
    return {{"script": Script()}}
"""
