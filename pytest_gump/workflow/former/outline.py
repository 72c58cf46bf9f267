"""The steps of a file of Gump 0.0.4: their kinds, their paths here, and which of them a template can name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.yaml_nodes import Node

Kind = Literal["code", "split", "validate", "artifact", "gate", "group", "call", "unclear"]
TYPES: Final = ("code", "split", "validate", "artifact")
RESERVED_TYPES: Final = ("search", "scrape", "surf", "use", "doc")
EACH: Final = "-each"
"""Ending of the name of the group with the steps of a split."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FormerStep:
    """One step of the original."""

    path: Path
    kind: Kind
    target: Path
    """Path of the step here."""
    splits: int = 0
    """Number of splits around the step."""
    declared: bool = True
    """False for the step that calls the workflow in `get` of another step."""
    name: str = ""
    """The name of such a step in the step that has the `get`: that of the workflow."""


@dataclass(slots=True)
class Outline:
    """The steps of the original by path."""

    steps: dict[Path, FormerStep] = field(default_factory=dict)
    groups: dict[Path, str] = field(default_factory=dict)
    """Name of the group with the steps of a split, by the path of the split."""
    calls: dict[Path, FormerStep] = field(default_factory=dict)
    """The step that calls the workflow in `get`, by the path of the step that has it."""
    wrapped: set[Path] = field(default_factory=set)
    """Steps of parallel groups that become several steps, in a group of their own."""

    @classmethod
    def of(cls, root: MapNode) -> Outline:
        outline = cls()
        outline._add(root.values.get("steps"), (), (), 0, in_parallel=False)
        return outline

    def _add(self, nodes: Node | None, path: Path, target: Path, splits: int, *, in_parallel: bool) -> None:
        steps = [step for step in nodes.nodes if isinstance(step, MapNode)] if isinstance(nodes, ListNode) else []
        taken = {name for step in steps if (name := _text(step, "name"))}
        called_here = Counter(map(_called, steps))
        for step in steps:
            name = _text(step, "name")
            if not name or (*path, name) in self.steps:  # a duplicate, which is reported later
                continue
            own, kind, called = (*path, name), kind_of(step), _called(step)
            above = target
            if in_parallel and (kind == "split" or called is not None):
                above = (*target, name)
                self.wrapped.add(own)
            self.steps[own] = FormerStep(own, kind, (*above, name), splits)
            if kind == "split":
                group = self._group_name(name, taken)
                self.groups[own] = group
                self._add(step.values.get("each"), own, (*above, group), splits + 1, in_parallel=False)
            elif kind == "group":
                self._add(step.values.get("steps"), own, (*above, name), splits, in_parallel=True)
            if called is not None:
                caller = called if called_here[called] == 1 else f"{called}-{name}"
                before = FormerStep((*path, caller), "call", (*above, caller), splits, declared=False, name=called)
                self.calls[own] = before
                self.steps.setdefault(before.path, before)

    def is_taken(self, scope: Path) -> bool:
        """True if a sibling of a step has the name of the step that calls the workflow in `get`."""
        return self.steps[self.calls[scope].path] is not self.calls[scope]

    @staticmethod
    def _group_name(name: str, taken: set[str]) -> str:
        group = f"{name}{EACH}"
        while group in taken:
            group += "-steps"
        taken.add(group)
        return group

    def find(self, scope: Path, reference: Path) -> FormerStep | None:
        """Return the step that a reference in the step `scope` names.

        A name is that of the workflow in `get` of the step, of a sibling, of a step around it, or else of a step at
        the root. A path begins at the root.
        """
        called = self.calls.get(scope)
        if called is not None and reference == (called.name,):
            return called
        near = (scope[:depth] for depth in range(len(scope) - 1, 0, -1)) if len(reference) == 1 else ()
        paths = ((*above, *reference) for above in near)
        found = (step for path in paths if (step := self.steps.get(path)) and self.is_visible(scope, step))
        return next(found, None) or self.steps.get(reference)

    def reference(self, scope: Path, step: FormerStep) -> Path:
        """Return how a step is named here in the step `scope`: by its name, if they are siblings here too."""
        is_sibling = step.target[:-1] == self.steps[scope].target[:-1]
        return step.target[-1:] if is_sibling else step.target

    def is_visible(self, scope: Path, step: FormerStep) -> bool:
        """True if Gump 0.0.4 gives a template in the step `scope` the values of `step` by its name alone."""
        return step.path[:-1] == scope[:-1] or step.path == scope[: len(step.path)]


def kind_of(step: MapNode) -> Kind:
    if "type" in step.values:
        written = _text(step, "type")
        return next((kind for kind in TYPES if kind == written), "unclear")
    if "steps" in step.values:
        return "group"
    if "workflow" in step.values:
        return "call"
    return "gate" if "gate" in step.values and not {"agent", "get", "run"} & step.values.keys() else "unclear"


def _called(step: MapNode) -> str | None:
    """Return the name of the workflow that a step calls in `get`."""
    get = step.values.get("get")
    written = _text(get, "workflow") if isinstance(get, MapNode) else None
    return None if written is None else written.rpartition("/")[2]


def _text(node: MapNode, key: str) -> str | None:
    value = node.values.get(key)
    return value.value if isinstance(value, ScalarNode) and isinstance(value.value, str) else None
