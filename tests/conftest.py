"""The fixture that users get too: a scratch repository with agents whose answers are given in Python."""

from __future__ import annotations

from pytest_gump.testing import gump_project

__all__ = ["gump_project"]
