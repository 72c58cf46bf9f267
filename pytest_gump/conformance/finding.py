"""What one scenario found out about one CLI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["holds", "fails", "not applicable", "not installed"]


@dataclass(frozen=True, slots=True)
class Finding:
    cli: str
    scenario: str
    state: State
    reason: str
    """One line: what was seen where it fails, why it was left out, or a figure; may be empty where it holds."""
    duration_s: float = 0.0
