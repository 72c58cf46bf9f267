"""Reads `depends_on` of plan items: names of other items, without circles."""

from __future__ import annotations

import reprlib
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from pytest_gump.errors import suggest
from pytest_gump.workflow.path import slugify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def read_depends(written: Sequence[Any], names: Mapping[str, str]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Read the dependencies of each item of a plan.

    Args:
        written: The value of `depends_on`, or None, of each item.
        names: Slug and name of each item, in the order of the plan.

    Returns:
        The slugs that each item depends on, and the mistakes, as sentences for the agent.
    """
    errors: list[str] = []
    needs = [_read(value, number, names, errors) for number, value in enumerate(written, start=1)]
    if not errors:
        errors += _circles(dict(zip(names, needs, strict=True)), names)
    return needs, errors


def _read(written: Any, number: int, names: Mapping[str, str], errors: list[str]) -> tuple[str, ...]:
    where = f"'depends_on' of item {number}"
    if written is None:
        return ()
    if not isinstance(written, list) or not all(isinstance(name, str) for name in written):
        errors.append(f"{where} must be an array of names of other items")
        return ()
    found: dict[str, None] = {}
    for name in written:
        slug = slugify(name, 0)
        if slug in names:
            found[slug] = None
        else:
            hint = suggest(name, names.values())
            errors.append(f"{where} names {reprlib.repr(name)}, which is not an item of the plan{hint and f': {hint}'}")
    return tuple(found)


def _circles(needs: Mapping[str, tuple[str, ...]], names: Mapping[str, str]) -> list[str]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = " -> ".join(repr(names[slug]) for slug in reversed(error.args[1]))
        return [f"items depend on each other in a circle: {circle}"]
    return []
