"""`gump log`: show what happened in a step."""

from pytest_gump.cli.log.log import add

__all__ = ["add"]
