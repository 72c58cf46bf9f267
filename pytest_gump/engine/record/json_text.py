"""Records as JSON text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
"""File names that are not UTF-8 have them, and so may what agents say."""


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON that can be written as UTF-8, and that gives the same value back, whatever its strings hold."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
