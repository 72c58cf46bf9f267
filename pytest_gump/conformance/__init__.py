"""Checks with a scripted model that the real agent CLIs behave as the adapters expect."""

# The suite is part of the package, because CLIs change every week: `gump doctor --conformance` checks the versions that
# a user has. Only that option imports it.
#
# The suite does not use the internet, a user's account or a user's settings. Every CLI gets its own home folder, fake
# keys, and the URL of a model server on loopback.

from __future__ import annotations

from pytest_gump.conformance.suite import CLIS, SCENARIOS, Finding, FindingState, run

__all__ = ["CLIS", "SCENARIOS", "Finding", "FindingState", "run"]
