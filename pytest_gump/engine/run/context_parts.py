"""The context entries of an order: file names and the output of workflows are filled in, commands are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.order import ContextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.workflow.model import ContextEntry


def context_template(entry: ContextEntry) -> str:
    """Return the path of a context file, or the output of a context workflow, as a template."""
    return f"{{steps.{entry.call}.output}}" if entry.call is not None else entry.file or ""


def context_parts(entries: Sequence[ContextEntry], render: Callable[[str], str]) -> tuple[ContextPart, ...]:
    """Return the entries with their templates filled in by `render`."""
    return tuple(_part(entry, render(context_template(entry))) for entry in entries)


def context_key(entries: Sequence[ContextEntry]) -> list[tuple[str | None, ...]]:
    """Return the declared entries, for the fingerprint of an attempt."""
    return [(entry.file, entry.bash, *([entry.workflow] if entry.workflow else [])) for entry in entries]


def _part(entry: ContextEntry, text: str) -> ContextPart:
    if entry.workflow is not None:
        return ContextPart(workflow=entry.workflow, text=text)
    return ContextPart(file=text if entry.file else None, bash=entry.bash)
