"""Notes on validators that turned out not to be independent, because an escalation or failover changed an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.workflow.path import StepPath
from pytest_gump.workflow.refs import part_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.workflow.model import Step


def not_independent(
    path: StepPath, step: Step, record: RunRecord, models_of: Callable[[str], str | None]
) -> Iterator[str]:
    """Yield a note for each validator of an attempt that must be independent of the author, and was not."""
    author = _newest_agent(record, path)
    family = None if author is None else models_of(author)
    for gate, validator in zip(step.validator_gates, step.validators, strict=True):
        if family is None or gate.options is None or not gate.options.independent:
            continue
        group = StepPath((*path.names[:-1], part_name(step, validator)), path.items)
        agents = {_newest_agent(record, StepPath.parse(path)) for path in record.steps if _is_in(group, path)}
        same = sorted(agent for agent in agents if agent is not None and models_of(agent) == family)
        if same:
            yield f"validator {gate.argument} was not independent: {', '.join(same)} and {author} are {family} models"


def _newest_agent(record: RunRecord, path: StepPath) -> str | None:
    found = record.steps.get(str(path))
    attempts = reversed(found.attempts if found is not None else ())
    return next((attempt.agent for attempt in attempts if attempt.agent is not None and attempt.counts), None)


def _is_in(group: StepPath, path: str) -> bool:
    return StepPath.parse(path).validator == group
