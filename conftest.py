"""Fixtures of the test suite, and an example of what a project may add to pytest-gump in its own conftest.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump import StepView

pytest_plugins = ["pytester"]


# `optionalhook`: pytest then accepts this file where the plugin is switched off (`-p no:gump`).
@pytest.hookimpl(optionalhook=True)
def pytest_gump_gates() -> Mapping[str, Callable[[StepView], None]]:
    """Offer `gate: [no_breakpoint]` to the workflows of this repository."""
    return {"no_breakpoint": no_breakpoint}


def no_breakpoint(step: StepView) -> None:
    """Refuse a change that leaves a debugger call behind."""
    left = step.diff.added_lines_matching(r"\bbreakpoint\(\)")
    assert not left, "remove the debugger calls"  # noqa: S101 - a gate is an assertion
