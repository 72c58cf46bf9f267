"""Keys and names of the original Gump that have no meaning here or another one, with their replacements.

The original has two dialects: Gump 0.0.3 has almost the same keys as this language; Gump 0.0.4 replaced most of them.
"""

from __future__ import annotations

from typing import Final

RECIPE: Final = "recipe"
"""The old name of `workflow`. Both mean the same."""
CALLS: Final = ("workflow", RECIPE)

RENAMED_FIELDS: Final = {
    "check_result": "write 'status': it is passed, failed or running",
    "cache_read": "it is included in 'tokens_in'",
    "cache_write": "it is included in 'tokens_in'",
}
"""Fields of `{steps.REF.FIELD}` in Gump 0.0.3 that have another name here, each with a hint."""


def is_original_name(name: str) -> bool:
    """True for template names of the original that are aliases here."""
    return name.startswith("task.") or (name.startswith("steps.") and name.endswith(".diff"))
