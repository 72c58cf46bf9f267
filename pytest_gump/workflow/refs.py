"""Resolves references to steps: the nearest enclosing scope wins, and an ambiguous reference is an error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.workflow.generated import GATE
from pytest_gump.workflow.path import VALIDATE, declared
from pytest_gump.workflow.template import written_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_gump.workflow.model import Call, Step, Workflow


class UnknownStepError(LookupError):
    """No step has the name."""


class AmbiguousStepError(LookupError):
    """Several steps have the name; `candidates` are their qualified names."""

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


@dataclass(slots=True)
class Outline:
    """The static paths of a workflow's own steps, indexed for lookup.

    The steps of a called workflow can only be named with the call: `review::correctness`.
    """

    paths: dict[tuple[str, ...], None] = field(default_factory=dict)
    by_name: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    calls: dict[tuple[str, ...], Step] = field(default_factory=dict)

    @classmethod
    def from_steps(cls, steps: Iterable[tuple[tuple[str, ...], Step]]) -> Outline:
        outline = cls()
        for path, step in steps:
            if path not in outline.paths:
                outline.paths[path] = None
                outline.by_name.setdefault(path[-1], []).append(path)
                if step.call is not None:
                    outline.calls[path] = step
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
            if self._has(path := scope[:depth] + parts):
                return path
        found = list(self._ending_with(parts))
        if not found and "steps" in parts[1:-1]:  # in Gump 0.0.3: CALL.steps.NAME
            return self.resolve(scope, ".".join(part for part in parts if part != "steps"))
        if not found:
            raise UnknownStepError(ref)
        if len(found) > 1:
            raise AmbiguousStepError(ref, tuple(".".join(path) for path in found))
        return found[0]

    def _has(self, path: tuple[str, ...]) -> bool:
        cuts = range(1, len(path)) if self.calls else ()
        return path in self.paths or any(self._is_inside(path[:cut], path[cut:]) for cut in cuts)

    def _ending_with(self, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for count in range(len(parts), 0, -1):
            inside = parts[count:]
            for path in self.by_name.get(parts[count - 1], ()):
                if path[-count:] == parts[:count] and (not inside or self._is_inside(path, inside)):
                    yield path + inside

    def _is_inside(self, call: tuple[str, ...], names: tuple[str, ...]) -> bool:
        """True if the workflow that is called at `call` has a step with this path."""
        step = self.calls.get(call)
        return step is not None and step_at(step.steps, names) is not None


def step_at(steps: Iterable[Step], names: tuple[str, ...]) -> Step | None:
    """Return the step with a path, which may lead into called workflows; None if there is none."""
    found: Step | None = None
    for name in names:
        found = child_of(steps, found, name)
        if found is None:
            return None
        steps = found.steps
    return found


def child_of(steps: Iterable[Step], group: Step | None, name: str) -> Step | None:
    """Return the step with a name in a group; for the name of a validator's group, the call of the validator."""
    own, marker, _ = name.partition(VALIDATE)
    found = next((step for step in steps if step.name == own), None)
    if not marker:
        return found
    checked = group if found is None and own == GATE else found
    if checked is None:
        return None
    return next((validator for validator in checked.answering if part_name(checked, validator) == name), None)


class CallAround(NamedTuple):
    """A call that contains a step."""

    names: tuple[str, ...]
    """Static path of the call."""
    items: int
    """Number of plan items around the steps of the called workflow."""
    step: Step
    call: Call


def calls_around(workflow: Workflow, path: tuple[str, ...]) -> Iterator[CallAround]:
    """Yield the calls that contain the step with a static path, outermost first; not the step itself.

    The gates of a call, validators too, are outside of it: they belong to the caller.
    """
    steps, items = workflow.steps, 0
    step: Step | None = None
    for depth, name in enumerate(path[:-1], 1):
        step = child_of(steps, step, name)
        if step is None:
            return
        items += step.foreach is not None
        if step.call is not None and not _is_own_gate(step, path[depth]):
            yield CallAround(path[:depth], items, step, step.call)
        steps = step.steps


def _is_own_gate(group: Step, name: str) -> bool:
    """True if this is the name of the group's gates or of a validator of the group, not of a step in it."""
    return declared(name) == GATE and all(step.name != GATE for step in group.steps)


def scope_key(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a key that is equal only for steps in the same calls: usually the path of their group."""
    return (*path, "") if declared(path[-1]) == GATE else path[:-1]


class Scopes:
    """Resolves references in a workflow. Each called workflow is a scope of its own."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._scopes: dict[tuple[str, ...], tuple[str, ...]] = {}
        """Path of the innermost call around a step, by its `scope_key`."""
        self._outlines: dict[tuple[str, ...], Outline] = {}

    def scope_of(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Return the static path of the innermost call around a step; () if there is none."""
        key = scope_key(path)
        if key not in self._scopes:
            names: tuple[str, ...] = ()
            for around in calls_around(self._workflow, path):
                names = around.names
            self._scopes[key] = names
        return self._scopes[key]

    def resolve(self, path: tuple[str, ...], ref: str) -> tuple[str, ...]:
        """Return the static path of the step that `ref` refers to in the step `path`.

        Raises:
            UnknownStepError, AmbiguousStepError: Both LookupError; a loaded workflow has no such reference.
        """
        path = self._place(path)
        scope = self.scope_of(path)
        if scope not in self._outlines:
            call = step_at(self._workflow.steps, scope)
            steps = self._workflow.steps if call is None else call.steps
            self._outlines[scope] = Outline.from_steps(iter_own_steps(steps))
        return scope + self._outlines[scope].resolve(path[len(scope) :], ref)

    def _place(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Return the place from which a step refers to others: for the gates of a group, that of the group."""
        group = step_at(self._workflow.steps, path[:-1]) if declared(path[-1]) == GATE else None
        return path if group is None or not _is_own_gate(group, path[-1]) else path[:-1]

    def source(self, path: tuple[str, ...], ref: str) -> tuple[str, ...]:
        """Return the step whose output `ref` means in the step `path`; for a call, a step of the called workflow.

        Raises:
            UnknownStepError, AmbiguousStepError: Both LookupError; a loaded workflow has no such reference.
        """
        return output_step(self._workflow.steps, self.resolve(path, ref))


def output_step(steps: Iterable[Step], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the step whose output a step has: itself, or the last step with an agent in a called workflow."""
    step = step_at(steps, names)
    return names if step is None or step.call is None else _last_agent(step.steps, names) or names


def _last_agent(steps: Sequence[Step], above: tuple[str, ...]) -> tuple[str, ...] | None:
    for step in reversed(steps):
        names = (*above, step.name)
        found = _last_agent(step.steps, names) if step.steps else names if step.agent is not None else None
        if found is not None:
            return found
    return None


class Reference(NamedTuple):
    """A `{steps.REF.FIELD}` of a workflow, resolved."""

    step: str
    """Static path of the step that contains the reference."""
    key: str
    """Key that contains the reference: `agent`, `prompt`, `context`, `strategy` or `with`."""
    written: str
    resolved: str
    field: str


def split_state(name: str) -> tuple[str, str] | None:
    """Split `steps.REF.FIELD` into REF and FIELD (`diff` becomes `output`); None for other names."""
    if not name.startswith("steps."):
        return None
    ref, _, state = name.removeprefix("steps.").rpartition(".")
    return (ref, "output" if state == "diff" else state) if ref else None


def iter_steps(steps: Iterable[Step], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Step]]:
    """Yield every step with its static path, in order; groups, and the steps of calls and validators included."""
    for step in steps:
        path = (*above, step.name)
        yield path, step
        yield from iter_steps(step.steps, path)
        for validator in step.answering:
            part = replace(validator, name=part_name(step, validator))
            yield from iter_steps((part,), path if step.kind == "group" else above)


def part_name(step: Step, validator: Step) -> str:
    """Return the name of the group with the steps of a validator: `impl--validate-review`."""
    return f"{GATE if step.kind == 'group' else step.name}--{validator.name}"


def iter_own_steps(steps: Iterable[Step], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Step]]:
    """Yield every step like `iter_steps`, without the steps of called workflows."""
    for step in steps:
        path = (*above, step.name)
        yield path, step
        if step.call is None:
            yield from iter_own_steps(step.steps, path)


def templated(step: Step) -> Iterator[tuple[str, str]]:
    """Yield the templates of a step, each as key and text."""
    if step.agent_of is not None and step.agent_of.step:
        yield "agent", f"{{steps.{step.agent_of.step}.agent}}"
    yield "prompt", step.prompt
    for entry in step.context:
        if entry.file is not None:
            yield "context", entry.file
    if (failure := step.on_failure) is not None:
        yield from (("strategy", prompt) for policy in failure.policies for prompt in policy.prompts)
    if step.call is not None:
        yield from (("with", text) for text in step.call.values.values())


def iter_references(workflow: Workflow) -> Iterator[Reference]:
    """Yield every `{steps.REF.FIELD}` of a loaded workflow, resolved."""
    scopes = Scopes(workflow)
    for path, step in iter_steps(workflow.steps):
        for key, text in templated(step):
            for name, _ in written_names(text):
                if (split := split_state(name)) is not None:
                    ref, state = split
                    yield Reference("::".join(path), key, name, "::".join(scopes.source(path, ref)), state)
