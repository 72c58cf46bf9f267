"""Support for other plugins: pytest-html, pytest-sugar and Allure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump.collect import StepItem
from pytest_gump.units import format_usd_sum

if TYPE_CHECKING:
    from collections.abc import Generator

COLUMNS = ("Agent", "Cost", "Attempts")
"""Columns of a step in pytest-html's table, after its name."""


def recount(session: pytest.Session) -> None:
    """Update the item count of pytest-sugar's progress bar after a plan has added items."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and hasattr(reporter, "tests_count"):
        reporter.tests_count = session.testscollected


class OtherPlugins:
    """Plugin of the conductor. Each hook has no effect if the other plugin is not installed."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        cells[2:2] = [f'<th class="sortable" data-column-type="{name.lower()}">{name}</th>' for name in COLUMNS]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        values = _values(dict(getattr(report, "user_properties", ())))
        pairs = zip(COLUMNS, values, strict=True)
        cells[2:2] = [f'<td class="col-{name.lower()}">{escape(value)}</td>' for name, value in pairs]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Set the plan items as a parameter for Allure, which otherwise shows them as retries of one test."""
        named = isinstance(item, StepItem) and item.step_path.items
        if named and item.config.pluginmanager.has_plugin("allure_listener"):
            import allure

            allure.dynamic.parameter("item", "--".join(named))
        return (yield)


def _values(properties: dict[str, Any]) -> tuple[str, str, str]:
    if "gump.step" not in properties:
        return "", "", ""
    provenance, usd = properties["gump.cost_provenance"], float(properties["gump.cost_usd"])
    cost = format_usd_sum(usd, estimated=provenance == "estimated", has_unknown=provenance == "unknown")
    return properties["gump.agent"], cost, properties["gump.attempts"]
