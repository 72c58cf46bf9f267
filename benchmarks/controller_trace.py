"""A pytest plugin for `growth.py`: CPU time of the controller from item to item, to the file CONTROLLER_TRACE.

Each row is the time of an item and that of a fixed piece of work right after it: their ratio does not depend on what
else the machine does.
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
