"""Checks the real agent CLIs against a scripted model, for the behaviour that the adapters expect."""

# It belongs to the package, not to the tests: CLIs change every week, and `gump doctor --conformance` checks the
# versions that a user has. Only that option imports it.
#
# Nothing here reaches the internet, a user's account or a user's settings: every CLI gets a home folder of its own,
# made-up keys, and the address of a model server on loopback.

from __future__ import annotations

from pytest_gump.conformance.suite import CLIS, SCENARIOS, Finding, FindingState, run

__all__ = ["CLIS", "SCENARIOS", "Finding", "FindingState", "run"]
