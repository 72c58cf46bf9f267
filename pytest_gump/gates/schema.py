"""Reads plans and verdicts of agents, with a message for each mistake."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pytest_gump.errors import nearest
from pytest_gump.gates.base import GateResult, PlanItem, Verdict
from pytest_gump.gates.depends import read_depends
from pytest_gump.gates.json_input import BadJsonError, read_json
from pytest_gump.workflow.path import slugify

if TYPE_CHECKING:
    from pytest_gump.gates.base import GateContext

MAX_NAME: Final = 200
MAX_TEXT: Final = 20_000
MAX_PATTERN: Final = 500
MAX_FILES: Final = 200
MAX_ERRORS: Final = 20
_MAX_KEYS: Final = 50
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_BREAK: Final = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """Either a value or all mistakes found, each as one sentence for the agent."""

    value: T | None
    errors: tuple[str, ...] = ()


def parse_plan(data: bytes, *, max_items: int = 100, min_items: int = 1) -> Parsed[tuple[PlanItem, ...]]:
    """Read `[{name, description, files?, depends_on?}, ...]`. Never raises on any input."""
    try:
        entries = read_json(data)
    except BadJsonError as error:
        return Parsed(None, (f"the plan {error}",))
    if not isinstance(entries, list):
        return Parsed(None, (f"the plan must be a JSON array of items, not {_kind(entries)}",))
    if len(entries) < min_items:
        return Parsed(None, ("the plan is empty: it needs at least one item",))
    if len(entries) > max_items:
        return Parsed(None, (f"the plan has {len(entries)} items; at most {max_items} are allowed",))
    errors: list[str] = []
    items = [_item(entry, number, errors) for number, entry in enumerate(entries, start=1)]
    errors += _same_slugs(items)
    if errors:
        return Parsed(None, _bounded(errors))
    needs, errors = read_depends(
        [entry.get("depends_on") for entry in entries], {item.slug: item.name for item in items}
    )
    if errors:
        return Parsed(None, _bounded(errors))
    return Parsed(tuple(replace(item, depends_on=slugs) for item, slugs in zip(items, needs, strict=True)))


def parse_verdict(data: bytes) -> Parsed[Verdict]:
    """Read `{pass, comment}`; the original Gump writes `comments`. Never raises on any input."""
    try:
        entry = read_json(data)
    except BadJsonError as error:
        return Parsed(None, (f"the review {error}",))
    if not isinstance(entry, dict):
        return Parsed(None, (f"the review must be a JSON object with 'pass' and 'comment', not {_kind(entry)}",))
    if "comments" in entry and entry.get("comment") is None:
        entry = {**entry, "comment": entry["comments"]}
    errors = _misspelt(entry, ("pass", "comment"), "the review")
    passed, comment = entry.get("pass"), "" if entry.get("comment") is None else entry["comment"]
    if "pass" not in entry:
        errors.append("the review has no 'pass': it must be true or false")
    elif not isinstance(passed, bool):
        errors.append(f"'pass' must be true or false, not {_kind(passed)}")
    errors += _text_errors(comment, "'comment'", MAX_TEXT)
    if passed is False and isinstance(comment, str) and not comment.strip():
        errors.append("'comment' must say what is wrong when 'pass' is false")
    return Parsed(None, _bounded(errors)) if errors else Parsed(Verdict(passed is True, comment))


def schema(argument: str | None, context: GateContext) -> GateResult:
    """Return the result of parsing the output. Every plan and verdict is parsed, also without this gate."""
    expected = {"plan": "plan", "review": "review"}.get(argument or context.mode)
    if expected is None or expected != context.mode:
        wanted = f"schema: {argument}" if argument else "schema"
        return GateResult("schema", "error", f"{wanted} does not fit a step with output: {context.mode}")
    if context.payload_error is not None or context.payload is None:
        problem = context.payload_error or f"no {expected} was delivered"
        return GateResult("schema", "failed", problem.splitlines()[0] if problem else "", problem)
    return GateResult("schema", "passed", f"valid {expected}")


def _item(entry: Any, number: int, errors: list[str]) -> PlanItem:
    where = f"item {number}"
    if not isinstance(entry, dict):
        errors.append(f"{where} must be an object with 'name' and 'description', not {_kind(entry)}")
        return PlanItem("", "")
    name, description, files = entry.get("name"), entry.get("description"), entry.get("files")
    errors += _misspelt(entry, ("name", "description", "files", "depends_on"), where)
    errors += _name_errors(name, where)
    if description is None:
        errors.append(f"{where} has no 'description'")
    else:
        errors += _text_errors(description, f"'description' of {where}", MAX_TEXT)
    errors += _files_errors(files, where)
    usable = name.strip() if isinstance(name, str) else ""
    return PlanItem(
        name=usable,
        slug=slugify(usable, number) if usable else "",
        description=description if isinstance(description, str) else "",
        files=tuple(str(pattern) for pattern in files) if isinstance(files, list) else (),
    )


def _name_errors(name: Any, where: str) -> list[str]:
    if name is None:
        return [f"{where} has no 'name'"]
    errors = _text_errors(name, f"'name' of {where}", MAX_NAME)
    if not errors and not name.strip():
        errors.append(f"'name' of {where} is blank")
    if not errors and _LINE_BREAK.search(name.strip()):
        errors.append(f"'name' of {where} must be one line")
    return errors


def _text_errors(value: Any, what: str, limit: int) -> list[str]:
    if not isinstance(value, str):
        return [f"{what} must be a string, not {_kind(value)}"]
    if len(value) > limit:
        return [f"{what} is longer than {limit} characters"]
    return [f"{what} contains control characters"] if _CONTROL.search(value) else []


def _files_errors(files: Any, where: str) -> list[str]:
    if files is None:
        return []
    if not isinstance(files, list):
        return [f"'files' of {where} must be an array of patterns, not {_kind(files)}"]
    if len(files) > MAX_FILES:
        return [f"'files' of {where} has more than {MAX_FILES} patterns"]
    found = (problem for pattern in files if (problem := pattern_problem(pattern)))
    return [f"'files' of {where}: {problem}" for problem in found]


def pattern_problem(pattern: Any) -> str | None:
    """Return why a value is not a gitignore-style pattern relative to the root; None if it is one."""
    from pathspec import GitIgnoreSpec

    errors = _text_errors(pattern, "a pattern", MAX_PATTERN)
    if errors:
        return errors[0]
    shown = reprlib.repr(pattern)
    if (not pattern.strip(" ./") and ".." not in pattern) or _LINE_BREAK.search(pattern):
        return f"{shown} is not a file pattern"
    if pattern.strip().startswith(("/", "~", "\\")) or re.match(r"\s*[A-Za-z]:", pattern):
        return f"{shown} must be relative to the root of the project"
    if ".." in re.split(r"[/\\]", pattern.strip()):
        return f"{shown} must not leave the project ('..')"
    if pattern.strip().startswith(("!", "#")):
        return f"{shown} must not start with {pattern.strip()[0]!r}"
    parts = pattern.strip().split("/")
    if sum("**" in part for part in parts) > 4 or any(part.count("*") > 4 for part in parts):
        return f"{shown} has too many wildcards"  # matching would take too long
    try:
        GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        return f"{shown} is not a file pattern"
    return None


def _same_slugs(items: list[PlanItem]) -> list[str]:
    first: dict[str, int] = {}
    errors = []
    for number, item in enumerate(items, start=1):
        if item.slug and (earlier := first.setdefault(item.slug, number)) != number:
            errors.append(f"the names of items {earlier} and {number} both become {item.slug!r} in paths; rename one")
    return errors


def _misspelt(entry: dict[str, Any], known: tuple[str, ...], where: str) -> list[str]:
    """Return an error for each misspelled key. Other unknown keys are ignored, because agents often add some."""
    errors = []
    for key in list(entry)[:_MAX_KEYS]:
        near = nearest(key[:40].lower(), known, cutoff=0.75)
        if key not in known and near and near[0] not in entry:
            errors.append(f"{where} has the key {reprlib.repr(key)}: did you mean {near[0]!r}?")
    return errors


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _bounded(errors: list[str]) -> tuple[str, ...]:
    left_out = len(errors) - MAX_ERRORS
    return tuple(errors) if left_out <= 0 else (*errors[:MAX_ERRORS], f"and {left_out} more")
