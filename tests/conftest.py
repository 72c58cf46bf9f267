"""The public fixture `gump_project`, a scratch repository with scripted agents, and the project of most session tests."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import pytest_gump
import pytest_gump.agents.installed_prices  # import it before any session: pytester unloads the modules that a session imports, also pydantic
from pytest_gump.testing import gump_project

from tests.kits.examples import register_profiles
from tests.kits.project import project
from tests.kits.saved import saved

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gump_project", "project", "saved"]

# A job in the background starts with SIGINT ignored, and under nohup with SIGHUP ignored. Children inherit that, and
# tests send both signals.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

register_profiles()

COVERAGE: Final = pytest.StashKey[str | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Measure the coverage of processes that run tests, but not of those that tests start: see `measured_children`."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.stash[COVERAGE] = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture
def measured_children(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """In `make coverage`, measure the processes that the test starts. Each one then starts 0.1 s of CPU time later."""
    settings = pytestconfig.stash.get(COVERAGE, None)
    if settings is not None:
        monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", settings)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the package once for the hundreds of processes that tests start. PYTHONDONTWRITEBYTECODE may be set."""
    if not hasattr(session.config, "workerinput"):
        compileall.compile_dir(Path(pytest_gump.__file__).parent, quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without garbage collection, because a million objects stay alive. Keep the rewritten test modules on disk."""
    chosen, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    gc.disable()
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = chosen
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start their own pytest session. `make test-quick` skips them."""
    for item in items:
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker("session")
