"""Keeps steps out of pytest's cache of failed tests. For a workflow, `--lf` uses its last run instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump.reporters.exit_code import is_own

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path


class LastFailed:
    """Registered with the conductor."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def keep(self, files: Iterable[Path]) -> None:
        """Make `--lf` collect these files in addition to those with failed tests."""
        plugin: Any = self._config.pluginmanager.get_plugin("lfplugin")
        if hasattr(plugin, "_last_failed_paths"):  # private to pytest; tests/session/test_resume.py
            plugin._last_failed_paths.update(files)  # noqa: SLF001

    @property
    def _known(self) -> dict[Any, bool]:
        """pytest's own record of failed tests. It is empty without its plugin (`-p no:cacheprovider`)."""
        plugin: Any = self._config.pluginmanager.get_plugin("lfplugin")
        known: dict[Any, bool] = getattr(plugin, "lastfailed", {})
        return known

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, object, object]:
        result = yield
        if is_own(report):
            self._known.pop(_id(report), None)
        return result


def _id(report: Any) -> Any:
    """Return the key of a report in pytest's record. Since pytest 9.2, it contains more than the node id."""
    return getattr(report, "id", report.nodeid)
