"""`gump doctor`: check the prerequisites of a workflow."""

from pytest_gump.cli.doctor.doctor import add

__all__ = ["add"]
