"""The gates that run a command, by name."""

from __future__ import annotations

from typing import Final

PROJECT_GATES: Final = ("compile", "test", "lint", "coverage")
"""Their command is the project's own: set, or detected."""
COMMAND_GATES: Final = (*PROJECT_GATES, "bash")
