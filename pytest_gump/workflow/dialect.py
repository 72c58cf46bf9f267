"""Recognizes the language of a workflow file: the current one, or that of Gump 0.0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.yaml_nodes import Node

Dialect = Literal["present", "former", "mixed"]

FORMER_ROOT: Final = ("max_timeout",)
FORMER_STEP: Final = ("type", "each", "get", "run")
PRESENT_ROOT: Final = ("max_time", "blast_radius", "setup")
PRESENT_STEP: Final = (
    "output",
    "foreach",
    "on_failure",
    "allow_no_change",
    "allow_empty",
    "overlap",
    "recipe",
    "approve",
)
_CHILDREN: Final = ("steps", "each")
_HINT: Final = "use the keys of one language; 'gump convert' rewrites a file of Gump 0.0.4"


def dialect_of(root: Node, problems: Problems) -> Dialect:
    """Return the language of a file. Report a file with keys of both."""
    if not isinstance(root, MapNode):
        return "present"
    former = next(_keys(root, FORMER_ROOT, FORMER_STEP), None)
    if former is None:
        return "present"
    present = next(_keys(root, PRESENT_ROOT, PRESENT_STEP), None)
    if present is None:
        return "former"
    marks = {"Gump 0.0.4": former, "pytest-gump": present}
    (_, first), (language, second) = sorted(marks.items(), key=lambda mark: mark[1][1].position)
    other = next(name for name in marks if name != language)
    what = f"'{second[0]}' is a key of {language}, but '{first[0]}' on line {first[1].position.line} is one of {other}"
    problems.add(second[1].position, what, _HINT)
    return "mixed"


def _keys(root: MapNode, of_root: tuple[str, ...], of_step: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    """Yield the keys of a file that belong to one language only, each with its node."""
    yield from ((key, root.key(key)) for key in of_root if key in root.values)
    for step in _steps(root):
        yield from ((key, step.key(key)) for key in of_step if key in step.values)
        if of_step is FORMER_STEP and isinstance(step.values.get("retry"), ListNode):
            yield "retry", step.key("retry")


def _steps(node: MapNode) -> Iterator[MapNode]:
    for key in _CHILDREN:
        below = node.values.get(key)
        for step in below.nodes if isinstance(below, ListNode) else ():
            if isinstance(step, MapNode):
                yield step
                yield from _steps(step)
