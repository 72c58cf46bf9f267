"""Resolves references to steps: the nearest enclosing scope wins, and an ambiguous reference is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.workflow.template import written_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.workflow.model import Step, Workflow


class UnknownStepError(LookupError):
    """No step has the name."""


class AmbiguousStepError(LookupError):
    """Several steps have the name; `candidates` are their qualified names."""

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


@dataclass(slots=True)
class Outline:
    """The static paths of a workflow's steps, indexed for lookup."""

    paths: dict[tuple[str, ...], None] = field(default_factory=dict)
    by_name: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    @classmethod
    def from_paths(cls, paths: Iterable[tuple[str, ...]]) -> Outline:
        outline = cls()
        for path in paths:
            if path not in outline.paths:
                outline.paths[path] = None
                outline.by_name.setdefault(path[-1], []).append(path)
        return outline

    def resolve(self, scope: tuple[str, ...], ref: str) -> tuple[str, ...]:
        """Return the path of the step that `ref` refers to in the step `scope`.

        `ref` is a name or a path (`build.impl`, `build::impl`). It is looked up in the enclosing groups, innermost
        first, and then in the whole workflow, where it must be unique.

        Raises:
            UnknownStepError: There is no such step.
            AmbiguousStepError: There are several.
        """
        parts = tuple(ref.replace("::", ".").split("."))
        for depth in range(max(len(scope) - 1, 0), -1, -1):
            if (path := scope[:depth] + parts) in self.paths:
                return path
        found = [path for path in self.by_name.get(parts[-1], ()) if path[-len(parts) :] == parts]
        if not found:
            raise UnknownStepError(ref)
        if len(found) > 1:
            raise AmbiguousStepError(ref, tuple(".".join(path) for path in found))
        return found[0]


class Reference(NamedTuple):
    """A `{steps.REF.FIELD}` of a workflow, resolved."""

    step: str
    """Static path of the step that contains the reference."""
    key: str
    """Key that contains the reference: `prompt`, `context` or `strategy`."""
    written: str
    resolved: str
    field: str


def resolve_step(workflow: Workflow, scope: tuple[str, ...], ref: str) -> str:
    """Return the static path (`build::impl`) of the step that `ref` refers to in the step `scope`.

    Raises:
        UnknownStepError, AmbiguousStepError: Both LookupError; a loaded workflow has no such reference.
    """
    outline = Outline.from_paths(path for path, _ in iter_steps(workflow.steps))
    return "::".join(outline.resolve(scope, ref))


def split_state(name: str) -> tuple[str, str] | None:
    """Split `steps.REF.FIELD` into REF and FIELD (`diff` becomes `output`); None for other names."""
    if not name.startswith("steps."):
        return None
    ref, _, state = name.removeprefix("steps.").rpartition(".")
    return (ref, "output" if state == "diff" else state) if ref else None


def iter_steps(steps: Iterable[Step], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Step]]:
    """Yield every step with its static path, groups included, in the order of the file."""
    for step in steps:
        path = (*above, step.name)
        yield path, step
        yield from iter_steps(step.steps, path)


def templated(step: Step) -> Iterator[tuple[str, str]]:
    """Yield the templates of a step, each as key and text."""
    yield "prompt", step.prompt
    for entry in step.context:
        if entry.file is not None:
            yield "context", entry.file
    if (failure := step.on_failure) is not None:
        entries = (entry for policy in failure.policies for entry in policy.strategy)
        yield from (("strategy", entry.prompt) for entry in entries if entry.prompt is not None)


def iter_references(workflow: Workflow) -> Iterator[Reference]:
    """Yield every `{steps.REF.FIELD}` of a loaded workflow, resolved."""
    steps = list(iter_steps(workflow.steps))
    outline = Outline.from_paths(path for path, _ in steps)
    for path, step in steps:
        for key, text in templated(step):
            for name, _ in written_names(text):
                if (split := split_state(name)) is not None:
                    ref, state = split
                    yield Reference("::".join(path), key, name, "::".join(outline.resolve(path, ref)), state)
