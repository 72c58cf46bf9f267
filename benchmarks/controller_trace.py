"""A pytest plugin for `growth.py`. It writes the controller's CPU time for each attempt to the file CONTROLLER_TRACE.

Each row contains the time of an attempt, and that of a fixed task right after it, in milliseconds. Their ratio does not
depend on other work on the machine.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

WORK = json.dumps([{"name": f"item-{number}", "files": ["a", "b"]} for number in range(200)])


class Trace:
    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []
        self.since = time.process_time()

    def pytest_gump_attempt_finished(self) -> None:
        ended = time.process_time()
        for _ in range(10):
            json.loads(WORK)
        now = time.process_time()
        self.rows.append((1000 * (ended - self.since), 1000 * (now - ended)))
        self.since = now

    def pytest_unconfigure(self) -> None:
        Path(os.environ["CONTROLLER_TRACE"]).write_text(json.dumps(self.rows))


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Trace())
