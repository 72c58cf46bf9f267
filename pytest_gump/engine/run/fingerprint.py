"""What the result of an attempt depends on, as hashes of what was declared.

Never what a check printed, nor figures of the run: two equal runs would differ. Failure policies and limits are no
part of it: a result that passed under others is no worse.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Identity = dict[str, str]
PARTS: Final = ("definition", "prompt", "spec", "agent", "gates", "hand-over")
"""`definition`: output, context, session, blast radius, set-up; `hand-over`: the plan item, and what others say."""


def hashed(value: object) -> str:
    """16 hex digits; "" stands for nothing at all."""
    if not value:
        return ""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def portable(command: str, places: Mapping[str, str]) -> str:
    """The command with names in the place of paths that say only where something is installed."""
    for path, name in places.items():
        command = command.replace(shlex.quote(path), name).replace(path, name)
    return command


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What changed, in the words of `PARTS`."""
    return [part for part in PARTS if then.get(part, "") != now.get(part, "")]
