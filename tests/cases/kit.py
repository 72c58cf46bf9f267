"""Helpers that read the results of a session."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kits.rogue import Ran, Rogue


def report_text(project: Rogue) -> str:
    """Return the output of `gump report` about the last run in one line."""
    ran = project.project.pytester.run(sys.executable, "-m", "pytest_gump", "report")
    assert ran.ret == 0
    return " ".join(" ".join(ran.outlines).split())


def summary_of(ran: Ran) -> str:
    """Return the lines of the gump section in the summary of the session."""
    begins = next(number for number, line in enumerate(ran.lines) if line.startswith("=") and " gump " in line)
    return "\n".join(ran.lines[begins:])
