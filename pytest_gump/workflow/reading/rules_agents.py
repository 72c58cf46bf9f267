"""Rules for agents: those of another step (`agent: "{steps.converge.agent}"`), of an input, and of validators."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.text import quoted
from pytest_gump.workflow.model import AgentOf
from pytest_gump.workflow.reading.rules import Index, NotFound, order_problem
from pytest_gump.workflow.refs import iter_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_gump.workflow.model import Step
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.located import PlacedStep, PlacedWorkflow, Surroundings

    Agents = dict[tuple[str, ...], tuple[str, AgentOf | None]]
    """Declared agent and escalations, by the path of the step that uses them."""


def fill_inputs(workflow: PlacedWorkflow, around: Surroundings) -> PlacedWorkflow:
    """Give each step whose agent is an input the value of the input, if it is known before the run."""
    agents: Agents = {}
    for step in workflow.walk():
        if step.step.agent_of is not None and (name := step.step.agent_of.input):
            value = _agent_of_input(name, step, workflow, around)
            if value is not None:
                agents[step.names] = value, None
    return _with(agents, workflow)


def _agent_of_input(name: str, step: PlacedStep, workflow: PlacedWorkflow, around: Surroundings) -> str | None:
    declared = workflow.workflow.inputs.get(name)
    if declared is None:
        hint = around.problems.suggest(name, workflow.workflow.inputs, label="inputs") or "declare it in 'inputs'"
        step.fields.refuse_value("agent", f"'agent' names {quoted(name)}, which is not an input", hint)
        return None
    if not declared.required and declared.default is None:
        what = f"'agent' names input '{name}', which has neither 'required: true' nor a default"
        step.fields.refuse_value("agent", what, "an agent must be known before the run")
    if name in around.given:
        value = around.given[name]
        return None if around.agent_error(value) else value  # the call or the command line is wrong, not this file
    if declared.default is not None and (message := around.agent_error(declared.default)):
        what, _, hint = message.partition("\n  hint: ")
        step.fields.refuse_value("agent", f"the default of input '{name}' is not valid: {what}", hint or None)
    return declared.default


def fill_agents(workflow: PlacedWorkflow, around: Surroundings) -> PlacedWorkflow:
    """Give each step whose agent is that of another step the declared agent and the escalations of that step."""
    using = [step for step in workflow.walk() if step.step.agent_of is not None and step.step.agent_of.step]
    index = Index.from_workflow(workflow)
    agents: Agents = {}
    for step in using:
        ref = step.step.agent_of.step if step.step.agent_of is not None else ""
        target = index.find(step, ref, around)
        problem = target.about("'agent'") if isinstance(target, NotFound) else _problem(step, target, index)
        if problem is not None:
            step.fields.refuse_value("agent", *problem)
        if not isinstance(target, NotFound) and target.step.agent is not None:
            others = dict.fromkeys(_escalations((target, *index.above(target))))
            agents[step.names] = target.step.agent, AgentOf(ref, tuple(others))
    return _with(agents, workflow)


def _with(agents: Agents, workflow: PlacedWorkflow) -> PlacedWorkflow:
    if not agents:
        return workflow
    steps = tuple(_filled(step, agents) for step in workflow.steps)
    return workflow._replace(workflow=replace(workflow.workflow, steps=tuple(step.step for step in steps)), steps=steps)


def _problem(step: PlacedStep, target: PlacedStep, index: Index) -> Mistake | None:
    name = quoted(target.step.name)
    if target is step:
        return "'agent' names the step itself", "name an earlier step"
    if target.kind != "agent":
        return f"'agent' names {name}, which has no agent", "name an agent step"
    if target.step.agent_of is not None:
        return f"'agent' names {name}, whose agent is that of another step", "name that step"
    several = "agent", "each item of {group} can have another one: move this step into it"
    return order_problem("agent", step, target, index, several)


def _escalations(steps: Iterable[PlacedStep]) -> Iterator[str]:
    for step in steps:
        policies = () if step.step.on_failure is None else (*step.step.on_failure.policies,)
        entries = (entry for policy in policies for entry in policy.strategy)
        yield from (entry.agent for entry in entries if entry.kind == "escalate" and entry.agent is not None)
        yield from (rule.agent for policy in policies for rule in policy.rules if rule.agent is not None)


def _filled(step: PlacedStep, agents: Agents) -> PlacedStep:
    children = tuple(_filled(child, agents) for child in step.children)
    own = replace(step.step, steps=tuple(child.step for child in children)) if children else step.step
    if step.names in agents:
        agent, agent_of = agents[step.names]
        own = replace(own, agent=agent, agent_of=agent_of)
    return step._replace(step=own, children=children)


def check_independence(workflow: PlacedWorkflow, around: Surroundings) -> None:
    for step in workflow.walk():
        for validator in step.validators:
            options = validator.gate.options
            if options is None or not options.independent or around.models_of is None:
                continue
            name = quoted(validator.gate.argument or "")
            parts = iter_steps((around.replaced(validator.step),))
            reviewers = [agent for _, part in parts for agent in part.first_agents]
            problem = _dependence(name, around.replaced(step.step), reviewers, around.models_of)
            if problem is not None:
                around.problems.add(validator.node.position, *problem)


def _dependence(name: str, step: Step, reviewers: list[str], models_of: Callable[[str], str | None]) -> Mistake | None:
    authors = [*_authors(step)]
    if not authors:
        return (
            f"validator {name} cannot be independent: step {quoted(step.name)} has no agent",
            "leave out 'independent'",
        )
    for author in authors:
        for reviewer in reviewers:
            family = models_of(reviewer)
            if family is None or models_of(author) is None:
                unknown = reviewer if family is None else author
                what = f"validator {name} is not known to be independent: the CLI of {unknown} chooses its model"
                return what, "name an agent with a model"
            if family == models_of(author):
                what = f"validator {name} is not independent: {reviewer} and the author, {author}, are {family} models"
                return what, "let an agent of another model family do one of them, or leave out 'independent'"
    return None


def _authors(checked: Step) -> Iterator[str]:
    """Yield the first agents of a step and of the steps below it, without those of its validators and its context."""
    for names, step in iter_steps((checked,)):
        if not any("--" in name for name in names):
            yield from step.first_agents
