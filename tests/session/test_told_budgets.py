"""What the summary says of a run whose budget is spent."""

from __future__ import annotations

import pytest
from pytest_gump.engine.record.records import Total
from pytest_gump.reporters.lines import more_money_text


@pytest.mark.parametrize(
    ("total", "text"),
    [
        (Total(cost_usd=1.5), "go on with more money"),
        (Total(cost_usd=0.0, presumed_usd=3.0), "go on with more money; the unknown cost counts as $3.00"),
    ],
)
def test_a_budget_that_nobody_saw_spent_is_explained(total: Total, text: str) -> None:
    assert more_money_text(total) == text
