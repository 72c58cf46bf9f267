"""What a run has from earlier sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_gump.agents.streams.resets import sane
from pytest_gump.engine.run.quota import Limited
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.run.order_builder import RunInputs
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.path import StepPath


@dataclass(slots=True)
class Earlier:
    """Empty for a new run."""

    reused: frozenset[int] = frozenset()
    """Numbers of the attempts whose results are reused."""
    reruns: Mapping[StepPath, str] | None = None
    """Why steps run again; None for a run that was not resumed."""
    recheck: str | None = None
    """Why the last reused step runs again after its gates were checked."""
    results: dict[tuple[str, int], AttemptResult] = field(default_factory=dict)
    """Results that are stored and wait for a decision, by step and attempt."""

    def result_of(self, order: Order) -> AttemptResult | None:
        return self.results.get((order.step, order.attempt))


def met_limit(inputs: RunInputs, record: RunRecord, ready: Ready, now: float) -> tuple[int, Limited | None]:
    """The newest attempt of a step, if it came to a limit of the agent that is to make the next one."""
    newest = next((one for one in reversed(record.attempts) if one.step == str(ready.path)), None)
    result = None if newest is None else newest.result
    if newest is None or result is None or newest.agent != ready.agent or newest.agent is None:
        return 0, None
    if result.outcome is not Outcome.QUOTA:
        return 0, None
    cli, resets_at = inputs.cli_of(newest.agent), sane(result.resets_at, now)
    return newest.number, Limited(inputs.run_id, newest.agent, cli, newest.started, resets_at)
