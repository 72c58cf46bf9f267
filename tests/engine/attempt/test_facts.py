"""Types of the numbers in a stored result."""

from __future__ import annotations

from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.engine.attempt.facts import masked_result
from pytest_gump.order import AttemptResult, Outcome, Timings
from pytest_gump.system.secrets import Secrets


def test_numbers_from_an_adapter_are_converted_to_the_types_of_the_record() -> None:
    """A project's adapter may pass on what its CLI prints, such as 2100.0 tokens, a cost of 1, or turns as a string."""
    usage = Usage(Tokens(input=2100.0), 1, "reported", turns="3")  # type: ignore[arg-type]
    result = AttemptResult("impl", 1, Outcome.PASSED, "", "house", Timings(1.0, 2.0), usage=usage)
    kept = masked_result(result, Secrets()).usage
    assert kept == Usage(Tokens(input=2100), 1.0, "reported", turns=3)
    assert [type(value) for value in (kept.tokens.input, kept.cost_usd, kept.turns)] == [int, float, int]
