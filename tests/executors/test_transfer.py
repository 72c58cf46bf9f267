"""Results of workers without a shared disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.executors.remote_mirror import RemoteHome
from pytest_gump.executors.transfer import Transfer
from pytest_gump.order import AttemptResult, Order, Outcome, Timings

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.git.repository import Repository

SNAPSHOT = "a" * 40


def ended(**fields: Any) -> AttemptResult:
    return AttemptResult("impl", 1, Outcome.PASSED, "", None, Timings(0.0, 1.0), **fields)


def order_with(agent_part: AttemptResult | None) -> Order:
    base = "b" * 40
    return Order(
        "r", "impl", 1, agent=None, mode="diff", slot="w1",
        base=base, step_base=base, run_base=base, agent_part=agent_part,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("agent_part", "outcome"), [(None, Outcome.CRASHED), (ended(snapshot=SNAPSHOT), Outcome.PASSED)]
)
def test_the_snapshot_of_an_earlier_part_need_not_arrive(
    tmp_path: Path, agent_part: AttemptResult | None, outcome: Outcome
) -> None:
    transfer, unused = Transfer(tmp_path / "r", None), cast("Repository", None)
    result = transfer.unpack(order_with(agent_part), ended(snapshot=SNAPSHOT), unused)
    assert result.outcome is outcome


def test_the_conversation_of_an_earlier_part_keeps_its_slot() -> None:
    home = RemoteHome(run_id="r", machine="m", project="/p", python="python", object_format="sha1")
    result = ended(session=SessionRef("id", "claude", "w1"))
    moved = home.foreign(order_with(None), result).session
    assert moved is not None
    assert moved.slot.endswith("-w1")
    assert home.foreign(order_with(result), result).session == result.session
