"""Selects the steps of a session by the options of the command line, not by those in the project's `addopts`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.collect import StepItem
from pytest_gump.jobs.command_line import own_options

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

SELECTS: Final = {"keyword": "-k", "markexpr": "-m", "deselect": "--deselect"}


class Selection:
    """Registered with the conductor. Hooks of other plugins can mark steps, but cannot remove or reorder them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_own = False
        self.collected: list[StepItem] = []
        self.is_broken = False
        """True if a hook of another plugin raised an error, which ends the session."""
        self.steps: list[StepItem] = []
        """The steps to run, in the order of their workflows."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        before = [*items]
        self.collected = [item for item in items if isinstance(item, StepItem)]
        self.is_broken = True
        result = yield
        self.is_broken = False
        for step in self.collected:  # pytest-retry would run a step with this mark again
            step.own_markers[:] = [mark for mark in step.own_markers if mark.name != "flaky"]
        self.steps = self._selected()
        kept, tests = {*self.steps}, iter([item for item in items if not isinstance(item, StepItem)])
        merged = (item if isinstance(item, StepItem) else next(tests, None) for item in before)
        items[:] = [item for item in merged if item is not None and (item in kept or not isinstance(item, StepItem))]
        items += tests
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_deselected(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Remove steps from the deselected items of other plugins, so that they are not counted."""
        if not self._is_own and isinstance(items, list):
            items[:] = [item for item in items if not isinstance(item, StepItem)]
        return (yield)

    def _selected(self) -> list[StepItem]:
        """Apply `-k`, `-m` and `--deselect` to the steps if they are set on the command line itself."""
        steps: list[Any] = [*self.collected]
        with self._own_options():
            for name in ("mark", "main"):  # pytest's plugins for -k and -m, and for --deselect
                plugin: Any = self._config.pluginmanager.get_plugin(name)
                plugin.pytest_collection_modifyitems(items=steps, config=self._config)
        return steps

    @contextmanager
    def _own_options(self) -> Iterator[None]:
        option, own = self._config.option, own_options(self._config)
        given = {name: getattr(option, name) for name in SELECTS}
        vars(option).update({name: getattr(own, name) for name in SELECTS})
        self._is_own = True
        try:
            yield
        finally:
            self._is_own = False
            vars(option).update(given)


def selects(config: pytest.Config) -> bool:
    """True if the command line itself selects steps, by node ids or options."""
    own = own_options(config)
    has_ids = any("::" in word for word in map(str, config.args))
    return has_ids or any(getattr(own, name) for name in SELECTS)
