"""How a text may stand in what programs write: looked for where secrets are masked."""

from __future__ import annotations

import json
import os
from functools import lru_cache


@lru_cache(maxsize=256)
def written_forms(text: str) -> tuple[bytes, ...]:
    """As it is, and as JSON writes it: streams are JSON."""
    escaped = (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return tuple(dict.fromkeys([os.fsencode(text), *(form.encode("utf-8", "surrogateescape") for form in escaped)]))
