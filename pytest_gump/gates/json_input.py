"""Reads JSON that an agent wrote, with a message for each kind of mistake."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

MAX_BYTES: Final = 1024 * 1024
_FENCE: Final = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})[ \t]*+(?P<language>[^\s`]*+)[^`]*+$")


class BadJsonError(ValueError):
    """The text is not one strict JSON value. The message is the rest of a sentence: `is not UTF-8 (byte 3)`."""


def read_json(data: bytes) -> Any:
    """Parse UTF-8 JSON, with or without a byte order mark.

    Raises:
        BadJsonError: Not UTF-8, not JSON, a duplicate key, NaN or Infinity, nested too deep, or too large.
    """
    if len(data) > MAX_BYTES:
        raise BadJsonError(f"is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadJsonError(f"is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        problem = error.msg.removesuffix(" at")  # the message of Python continues with the place
        raise BadJsonError(f"is not JSON (line {error.lineno}, column {error.colno}): {problem}") from error
    except RecursionError as error:
        raise BadJsonError("is nested too deep") from error
    except BadJsonError:
        raise
    except ValueError as error:  # an integer of more than 4300 digits
        raise BadJsonError("contains a number that is too long") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise BadJsonError(f"has the key {key[:60]!r} twice in one object")
        result[key] = value
    return result


def _no_constant(name: str) -> NoReturn:
    raise BadJsonError(f"contains {name}, which is not JSON")


def fenced_json(text: str) -> bytes | None:
    """Return the content of the last complete `json` code block in a message; None if there is none."""
    found: str | None = None
    fence, language, start = "", "", 0
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if match is None:
            continue
        if not fence:
            fence, language, start = match["fence"], match["language"].lower(), number + 1
        elif line.strip() == fence[0] * len(line.strip()) and len(line.strip()) >= len(fence):
            if language == "json":
                found = "\n".join(lines[start:number])
            fence = ""
    return None if found is None else found.encode("utf-8", "replace")
