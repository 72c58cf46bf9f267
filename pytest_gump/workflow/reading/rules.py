"""Rules that look at more than one place: budgets, and what steps say about each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_gump.text import quoted
from pytest_gump.workflow.generated import GATE, MERGE
from pytest_gump.workflow.reading.read_step import OUTPUTS
from pytest_gump.workflow.reading.yaml_nodes import ScalarNode
from pytest_gump.workflow.refs import AmbiguousStepError, Outline, UnknownStepError

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.located import PlacedStep, PlacedWorkflow, Surroundings


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why a reference means no step."""

    reason: str
    hint: str | None

    def about(self, what: str) -> tuple[str, str | None]:
        return f"{what} {self.reason}", self.hint


@dataclass(frozen=True, slots=True)
class Index:
    """The steps of a workflow by path, with their order."""

    outline: Outline
    steps: dict[tuple[str, ...], PlacedStep]
    order: dict[tuple[str, ...], int]

    @classmethod
    def of(cls, workflow: PlacedWorkflow) -> Index:
        steps: dict[tuple[str, ...], PlacedStep] = {}
        for step in workflow.walk():
            if all(step.names):
                steps.setdefault(step.names, step)
        return cls(Outline.of(steps), steps, {path: number for number, path in enumerate(steps)})

    def find(self, case: PlacedStep, ref: str, around: Surroundings) -> PlacedStep | NotFound:
        """Resolve a reference that is written at a step."""
        try:
            return self.steps[self.outline.resolve(case.names, ref)]
        except UnknownStepError:
            hint = around.problems.suggest(ref, self.outline.by_name, label="steps")
            return NotFound(f"names {quoted(ref)}, and there is no such step", hint)
        except AmbiguousStepError as error:
            hint = f"write the qualified name: {' or '.join(error.candidates[:5])}"
            return NotFound(f"names {quoted(ref)}, which can be more than one step", hint)

    def foreach_around(self, step: PlacedStep) -> PlacedStep | None:
        """Give the nearest group above the step that has `foreach`."""
        return next((group for group in self.above(step) if "foreach" in group.fields), None)

    def above(self, step: PlacedStep) -> list[PlacedStep]:
        """Give the groups that enclose a step, nearest first."""
        paths = (step.names[:depth] for depth in range(len(step.names) - 1, 0, -1))
        return [self.steps[path] for path in paths if path in self.steps]


def check_steps(workflow: PlacedWorkflow, index: Index, around: Surroundings) -> None:
    run_budget = workflow.workflow.max_budget
    for step in workflow.walk():
        if around.problems.full:
            return
        _check_budget(step, run_budget, around)
        _check_overlap(step, around)
        _check_taken_names(step, around)
        if step.step.foreach is not None:
            _check_foreach(step, step.step.foreach, index, around)
        if step.step.session.step is not None:
            _check_session(step, step.step.session.step, index, around)


def _check_budget(step: PlacedStep, run_budget: float | None, around: Surroundings) -> None:
    budget = step.step.max_budget
    if budget is not None and run_budget is not None and budget > run_budget:
        around.problems.add(
            step.fields.value_position("max_budget"),
            f"{step.title} may spend {budget:.2f} USD, more than the whole run ({run_budget:.2f})",
            "lower it, or raise the workflow's 'max_budget'",
        )


def _check_overlap(step: PlacedStep, around: Surroundings) -> None:
    if "overlap" in step.fields and step.kind == "group" and not ("foreach" in step.fields and step.step.parallel):
        around.problems.add(
            step.fields.key_position("overlap"),
            "'overlap' is about plan items that run side by side",
            "it needs 'foreach' and 'parallel: true'",
        )


def _check_taken_names(step: PlacedStep, around: Surroundings) -> None:
    """A group has steps of its own beside those that are declared in it."""
    taken = {MERGE: "a merge of a parallel group"} if step.step.parallel else {}
    taken |= {GATE: "the step that runs the group's 'gate'"} if step.step.gate and step.kind == "group" else {}
    for child in step.children:
        if child.step.name in taken:
            around.problems.add(
                child.fields.value_position("name"),
                f"name {quoted(child.step.name)} is taken: {taken[child.step.name]} has it",
                "give the step another name",
            )


def _check_foreach(step: PlacedStep, ref: str, index: Index, around: Surroundings) -> None:
    position = step.fields.value_position("foreach")
    target = index.find(step, ref, around)
    if isinstance(target, NotFound):
        around.problems.add(position, *target.about("'foreach'"))
        return
    name = quoted(target.step.name)
    if _has_unknown_output(target):
        return
    if target.kind != "agent" or target.step.output != "plan":
        around.problems.add(position, f"'foreach' names {name}, which makes no plan", "it needs 'output: plan'")
        return
    if all(step.names) and index.order[target.names] >= index.order.get(step.names, -1):
        around.problems.add(position, f"'foreach' names {name}, which comes later", "move it before the group")
        return
    shared = _shared_groups(step, target)
    for group in index.above(target):
        if group.names in shared:
            if group.step.parallel and "foreach" not in group.fields:
                around.problems.add(
                    position, f"'foreach' names {name}, which runs at the same time", "move it before the group"
                )
            return
        if "foreach" in group.fields:
            hint = f"each item of {quoted(group.step.name)} has a plan of its own: put the group there too"
            around.problems.add(position, f"'foreach' names {name}, which has more than one plan", hint)
            return


def _has_unknown_output(step: PlacedStep) -> bool:
    """Say whether `output` was already reported: what the step makes is then anybody's guess."""
    written = step.fields.get("output")
    return written is not None and (not isinstance(written, ScalarNode) or written.value not in OUTPUTS)


def _shared_groups(one: PlacedStep, other: PlacedStep) -> set[tuple[str, ...]]:
    depths = range(1, min(len(one.names), len(other.names)) + 1)
    return {one.names[:depth] for depth in depths if one.names[:depth] == other.names[:depth]}


def _check_session(step: PlacedStep, ref: str, index: Index, around: Surroundings) -> None:
    below = step.fields.get("session")
    position = step.fields.value_position("session") if below is None else below.position
    target = index.find(step, ref, around)
    if isinstance(target, NotFound):
        around.problems.add(position, *target.about("'session'"))
        return
    name = quoted(target.step.name)
    is_fork = step.step.session.mode == "fork"
    if target is step and is_fork:
        around.problems.add(position, f"{step.title} would begin with a copy of its own session", "name another step")
    elif target is step:
        around.problems.add(position, f"{step.title} would resume its own session", "write 'session: reuse-on-retry'")
    elif target.kind != "agent":
        around.problems.add(position, f"'session' names {name}, which has no agent and so no session")
    elif _other_cli(step.step.agent, target.step.agent, around):
        word = "forked" if is_fork else "resumed"
        around.problems.add(
            position,
            f"a session of {target.step.agent} ({name}) cannot be {word} by {step.step.agent}",
            f"a session is {word} only by the CLI that made it",
        )
    elif _runs_beside(step, target, index):
        around.problems.add(
            position, f"'session' names {name}, which runs at the same time", "name a step before the parallel group"
        )


def _runs_beside(step: PlacedStep, target: PlacedStep, index: Index) -> bool:
    shared = _shared_groups(step, target)
    nearest = next((group for group in index.above(target) if group.names in shared), None)
    return nearest is not None and nearest.step.parallel and "foreach" not in nearest.fields


def _other_cli(one: str | None, other: str | None, around: Surroundings) -> bool:
    return one is not None and other is not None and around.same_cli is not None and not around.same_cli(one, other)
