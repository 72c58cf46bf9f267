"""Checks the values of inputs. All values are text; the type of an input says which text is valid."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from pytest_gump.system.files import path_error
from pytest_gump.text import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.workflow.model import Input

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def value_error(name: str, declared: Input, value: str) -> str | None:
    """Return why a value is not valid for an input; None if it is."""
    match declared.type:
        case "integer":
            expected = None if _WHOLE.fullmatch(value) else "a whole number"
        case "number":
            is_number = _NUMBER.fullmatch(value) and math.isfinite(float(value))
            expected = None if is_number else "a number"
        case "boolean":
            expected = None if value in {"true", "false"} else "true or false"
        case "choice":
            expected = None if value in declared.choices else f"one of {', '.join(declared.choices)}"
        case "path":
            wrong = path_error(value) if value else "is empty"
            return None if wrong is None else f"input '{name}' must be a path in the project: {quoted(value)} {wrong}"
        case _:
            expected = None
    return None if expected is None else f"input '{name}' must be {expected}, not {quoted(value)}"


def missing(inputs: Mapping[str, Input], given: Mapping[str, object]) -> list[str]:
    """Return the required inputs that have neither a value nor a default."""
    needed = (name for name, declared in inputs.items() if declared.required and declared.default is None)
    return [name for name in needed if name not in given]


def input_hint(declared: Input) -> str | None:
    """Return what an input is for, and its choices."""
    facts = [declared.description, f"choices: {', '.join(declared.choices)}" if declared.choices else ""]
    return "; ".join(fact for fact in facts if fact) or None
