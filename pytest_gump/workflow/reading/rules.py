"""Rules across steps: budgets, reserved names, and references from one step to another."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.text import quoted
from pytest_gump.workflow.generated import GATE, MERGE
from pytest_gump.workflow.path import CONTEXT
from pytest_gump.workflow.reading.read_step import OUTPUTS
from pytest_gump.workflow.reading.yaml_nodes import ScalarNode
from pytest_gump.workflow.refs import AmbiguousStepError, Outline, UnknownStepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.located import PlacedStep, PlacedWorkflow, Surroundings


class NotFound(NamedTuple):
    """Why a reference cannot be resolved."""

    reason: str
    hint: str | None

    def about(self, what: str) -> Mistake:
        return f"{what} {self.reason}", self.hint


class Index(NamedTuple):
    """The steps of a workflow by path, with their order."""

    outline: Outline
    steps: dict[tuple[str, ...], PlacedStep]
    order: dict[tuple[str, ...], int]

    @classmethod
    def from_workflow(cls, workflow: PlacedWorkflow) -> Index:
        steps: dict[tuple[str, ...], PlacedStep] = {}
        for step in workflow.walk():
            if all(step.names):
                steps.setdefault(step.names, step)
        declared = ((path, placed.step) for path, placed in steps.items() if CONTEXT not in path[-1])
        outline = Outline.from_steps(declared)
        return cls(outline, steps, {path: number for number, path in enumerate(steps)})

    def find(self, step: PlacedStep, ref: str, around: Surroundings) -> PlacedStep | NotFound:
        """Return the step of the same file that a reference in `step` refers to."""
        path = self.resolve(step, ref, around)
        if isinstance(path, NotFound):
            return path
        hint = "only the output of its steps can be used outside"
        return self.steps.get(path) or NotFound(f"names {quoted(ref)}, a step of a called workflow", hint)

    def resolve(self, step: PlacedStep, ref: str, around: Surroundings) -> tuple[str, ...] | NotFound:
        """Return the path of the step that a reference in `step` refers to; it may be a step of a called workflow."""
        try:
            return self.outline.resolve(step.names, ref)
        except UnknownStepError:
            unread = self._unread_call(step, ref)
            if unread is not None:
                return unread
            hint = around.problems.suggest(ref, self.outline.by_name, label="steps")
            return NotFound(f"names {quoted(ref)}, which does not exist", hint)
        except AmbiguousStepError as error:
            hint = f"write the qualified name: {' or '.join(error.candidates[:5])}"
            return NotFound(f"names {quoted(ref)}, which is ambiguous", hint)

    def _unread_call(self, step: PlacedStep, ref: str) -> tuple[str, ...] | None:
        """Return the path of the call that a reference leads into if its workflow has mistakes, which are reported."""
        parts = ref.replace("::", ".").split(".")
        for count in range(len(parts) - 1, 0, -1):
            with suppress(LookupError):
                path = self.outline.resolve(step.names, ".".join(parts[:count]))
                if path in self.steps and self.steps[path].kind == "call" and self.steps[path].called is None:
                    return path
        return None

    def foreach_around(self, step: PlacedStep) -> PlacedStep | None:
        """Return the innermost enclosing group that has `foreach`."""
        return next((group for group in self.above(step) if "foreach" in group.fields), None)

    def above(self, step: PlacedStep) -> list[PlacedStep]:
        """Return the groups that enclose a step, innermost first."""
        paths = (step.names[:depth] for depth in range(len(step.names) - 1, 0, -1))
        return [self.steps[path] for path in paths if path in self.steps]


def check_steps(workflow: PlacedWorkflow, index: Index, around: Surroundings) -> None:
    run_budget = workflow.workflow.max_budget
    for step in workflow.walk():
        if around.problems.full:
            return
        _check_budget(step, run_budget)
        _check_overlap(step)
        _check_parallel_call(step)
        _check_context(step)
        _check_reserved_names(step)
        foreach, session = step.step.foreach, step.step.session.step
        if foreach is not None and (problem := _foreach_problem(step, foreach, index, around)):
            step.fields.refuse_value("foreach", *problem)
        if session is not None and (problem := _session_problem(step, session, index, around)):
            step.fields.refuse_value("session", *problem)


def _check_budget(step: PlacedStep, run_budget: float | None) -> None:
    budget = step.step.max_budget
    if budget is not None and run_budget is not None and budget > run_budget:
        step.fields.refuse_value(
            "max_budget",
            f"{step.title} may spend {budget:.2f} USD, more than the whole run ({run_budget:.2f})",
            "lower it, or raise the workflow's 'max_budget'",
        )


def _check_overlap(step: PlacedStep) -> None:
    if (
        "overlap" in step.fields
        and step.kind in ("group", "call")
        and not ("foreach" in step.fields and step.step.parallel)
    ):
        step.fields.refuse_key(
            "overlap", "'overlap' has an effect only on plan items", "it needs 'foreach' and 'parallel: true'"
        )


def _check_parallel_call(step: PlacedStep) -> None:
    if step.kind == "call" and step.step.parallel and "foreach" not in step.fields:
        hint = "the called workflow says which of its steps run in parallel"
        step.fields.refuse_key("parallel", "'parallel' has no effect on a call without 'foreach'", hint)


def _check_context(group: PlacedStep) -> None:
    """Report workflows in the context of a step that runs in parallel with its siblings, and so with their calls."""
    if not group.step.parallel or "foreach" in group.fields:
        return
    for call in (call for child in group.children for call in child.before):
        what = f"'workflow' in 'context' must run before the step, but group {quoted(group.step.name)} is parallel"
        call.fields.refuse_key("workflow", what, "put the step into a group of its own")


def _check_reserved_names(step: PlacedStep) -> None:
    """Report steps with a name that is reserved for the generated steps of their group."""
    is_group = step.kind in ("group", "call")
    reserved = {MERGE: "the merges of a parallel group"} if step.step.parallel else {}
    if is_group and (step.step.gate or step.step.hitl):
        reserved[GATE] = "the step that runs the group's 'gate'"
    if step.called is not None:
        _check_called_names(step, step.called.workflow, reserved)
    for child in step.children:
        if child.step.name in reserved:
            child.fields.refuse_value(
                "name",
                f"name {quoted(child.step.name)} is reserved for {reserved[child.step.name]}",
                "rename the step",
            )


def _check_called_names(step: PlacedStep, called: Workflow, reserved: Mapping[str, str]) -> None:
    for inner in called.steps:
        if inner.name in reserved:
            what = f"workflow {quoted(called.name)} has a step {quoted(inner.name)}, a name that is reserved for"
            hint = "put the call into a group that has the key instead"
            step.fields.refuse_value("workflow", f"{what} {reserved[inner.name]}", hint)


def _foreach_problem(step: PlacedStep, ref: str, index: Index, around: Surroundings) -> Mistake | None:
    target = index.find(step, ref, around)
    if isinstance(target, NotFound):
        return target.about("'foreach'")
    name = quoted(target.step.name)
    if _has_unknown_output(target):
        return None
    if target.kind != "agent" or target.step.output != "plan":
        return f"'foreach' names {name}, which is not a plan step", "it needs 'output: plan'"
    several = "plan", "each item of {group} has its own plan: move this group into it"
    return order_problem("foreach", step, target, index, several)


def order_problem(
    key: str, step: PlacedStep, target: PlacedStep, index: Index, several: tuple[str, str]
) -> Mistake | None:
    """Return why `target` does not have exactly one result when `step` starts; None if it has.

    `several` is the noun and the hint for a step that runs once for each plan item.
    """
    name, this = quoted(target.step.name), "the group" if step.kind == "group" else "the step"
    if all(step.names) and index.order[target.names] >= index.order.get(step.names, -1):
        return f"'{key}' names {name}, which comes later", f"move it before {this}"
    shared = _shared_groups(step, target)
    for group in index.above(target):
        if group.names in shared:
            if group.step.parallel and "foreach" not in group.fields:
                return f"'{key}' names {name}, which runs at the same time", f"move it before {this}"
            return None
        if "foreach" in group.fields:
            what, hint = several
            return f"'{key}' names {name}, which has more than one {what}", hint.format(group=quoted(group.step.name))
    return None


def _has_unknown_output(step: PlacedStep) -> bool:
    """True if the step's `output` is invalid, which is already reported."""
    written = step.fields.get("output")
    return written is not None and (not isinstance(written, ScalarNode) or written.value not in OUTPUTS)


def _shared_groups(step: PlacedStep, other: PlacedStep) -> set[tuple[str, ...]]:
    depths = range(1, min(len(step.names), len(other.names)) + 1)
    return {step.names[:depth] for depth in depths if step.names[:depth] == other.names[:depth]}


def _session_problem(step: PlacedStep, ref: str, index: Index, around: Surroundings) -> Mistake | None:
    target = index.find(step, ref, around)
    if isinstance(target, NotFound):
        return target.about("'session'")
    name = quoted(target.step.name)
    is_fork = step.step.session.mode == "fork"
    if target is step and is_fork:
        return f"{step.title} would copy its own conversation", "name another step"
    if target is step:
        return f"{step.title} would resume its own conversation", "write 'session: reuse-on-retry'"
    if target.kind != "agent":
        return f"'session' names {name}, which has no agent and therefore no conversation", None
    other = _agent_of_another_cli(step, target, index, around)
    if other is not None:
        word = "fork" if is_fork else "resume"
        what = f"{other} cannot {word} a conversation of {target.step.agent} ({name})"
        return what, f"only the CLI that started a conversation can {word} it"
    if _runs_in_parallel(step, target, index):
        return f"'session' names {name}, which runs at the same time", "name a step before the parallel group"
    return None


def _agent_of_another_cli(step: PlacedStep, target: PlacedStep, index: Index, around: Surroundings) -> str | None:
    """Return an agent of the step's first attempt that cannot continue a conversation of `target`; None if all can."""
    agent_of = step.step.agent_of
    if agent_of is not None and index.find(step, agent_of.step, around) is target:
        return None
    agents = (agent for agent in step.step.first_agents if around.have_different_clis(agent, target.step.agent))
    return next(agents, None)


def _runs_in_parallel(step: PlacedStep, target: PlacedStep, index: Index) -> bool:
    shared = _shared_groups(step, target)
    nearest = next((group for group in index.above(target) if group.names in shared), None)
    return nearest is not None and nearest.step.parallel and "foreach" not in nearest.fields
