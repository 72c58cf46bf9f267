"""`gump doctor`: whether a workflow can run here."""

from pytest_gump.cli.doctor.doctor import add

__all__ = ["add"]
