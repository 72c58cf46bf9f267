"""Rule for `independent: true`: the agents of the validator and of the checked step are of different model families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.text import quoted
from pytest_gump.workflow.refs import iter_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.workflow.model import Step
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.located import PlacedStep, PlacedWorkflow, Surroundings


def check_independence(workflow: PlacedWorkflow, around: Surroundings) -> None:
    for step in workflow.walk():
        for validator in step.validators:
            options = validator.gate.options
            if options is None or not options.independent or around.models_of is None:
                continue
            name = quoted(validator.gate.argument or "")
            problem = _problem(name, step, [*_agents((validator.step,))], around.models_of)
            if problem is not None:
                around.problems.add(validator.node.position, *problem)


def _problem(
    name: str, step: PlacedStep, reviewers: list[str], models_of: Callable[[str], str | None]
) -> Mistake | None:
    authors = [*_agents((step.step,))]
    if not authors:
        return f"validator {name} cannot be independent: {step.title} has no agent", "leave out 'independent'"
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


def _agents(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield the declared agents of steps and of the steps below them, without validators and escalations."""
    for names, step in iter_steps(steps):
        if step.agent is not None and not any("--" in name for name in names):
            yield step.agent
