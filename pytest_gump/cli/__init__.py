"""The `gump` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code. `argv` without the program's name."""
    from pytest_gump.cli.program import run_program

    return run_program(argv)
