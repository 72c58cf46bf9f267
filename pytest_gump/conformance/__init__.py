"""Checks the real agent CLIs against a scripted model, for the behaviour that the adapters expect."""

# Nothing here reaches the internet, a user's account or a user's settings: every CLI gets a home folder of its own,
# made-up keys, and the address of a model server on loopback.

from __future__ import annotations

from pytest_gump.conformance.finding import Finding, State
from pytest_gump.conformance.suite import CLIS, SCENARIOS, run

__all__ = ["CLIS", "SCENARIOS", "Finding", "State", "run"]
