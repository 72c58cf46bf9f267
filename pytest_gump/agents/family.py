"""What the registry has to know of one agent CLI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from pytest_gump.agents.base import Agent
    from pytest_gump.agents.program import Program


@dataclass(frozen=True, slots=True)
class Family:
    """All agents of one CLI."""

    adapter: Callable[[str, str | None, tuple[str, ...]], Agent]
    """Called with the agent's name, its model (None: the CLI's own choice) and further words for the command line."""
    models: Mapping[str, str | None]
    """The names that are listed, and the model id of each."""
    beyond: re.Pattern[str]
    """Names that pass a model id through, as its group `model`.

    It asks for a digit, as version numbers have one: a slip of the pen in a listed name is no model.
    """
    program: Program
