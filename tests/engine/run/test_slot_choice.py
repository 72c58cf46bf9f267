"""Side slots: a second worktree of an order, and slots of validators beside the attempt that they check."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.run.slot_choice import SlotChoice
from pytest_gump.system.worktrees.pool import SlotPool, is_leased
from pytest_gump.system.worktrees.slots import Slots
from pytest_gump.workflow.path import StepPath

from tests.system.git_project import make_project

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = StepPath.parse("impl--validate-arch")


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlotPool:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return SlotPool(Slots(make_project(tmp_path).open(), tmp_path / "slots"))


def main_slot(slots: SlotChoice, *busy: str) -> str:
    return slots.choose(None, busy=busy, living=(), wanted=None)


def test_a_side_slot_belongs_to_one_order_at_a_time(pool: SlotPool) -> None:
    slots = SlotChoice(pool)
    assert (main_slot(slots), slots.choose_side(())) == ("w1", "w2")
    assert slots.choose_side({"w1", "w2"}) == "w3", "the first order is still running"
    assert slots.choose_side({"w1", "w3"}) == "w2", "the first order has ended"
    assert main_slot(slots, "w1") == "w4", "a side slot is not the main slot of another order"


def test_a_side_slot_with_lost_processes_is_never_chosen_again(pool: SlotPool) -> None:
    slots = SlotChoice(pool)
    side = slots.choose_side(())
    pool.mark_suspect(side)
    slots.abandon(side)
    assert slots.choose_side(()) != side


def test_side_slots_are_released_with_the_pool(pool: SlotPool, tmp_path: Path) -> None:
    side = SlotChoice(pool).choose_side(())
    lease = tmp_path / "slots" / f"{side}.lease"
    assert is_leased(lease)
    pool.close()
    assert not is_leased(lease)


def test_a_validator_works_beside_the_attempt_that_it_checks(pool: SlotPool) -> None:
    slots = SlotChoice(pool)
    author = main_slot(slots)
    part = slots.choose(VALIDATOR, busy=(), living={VALIDATOR, None}, wanted=None)
    assert part != author
    assert slots.choose(VALIDATOR, busy=(), living={VALIDATOR, None}, wanted=None) == part
    assert main_slot(slots) == author, "the next attempt of the author continues in its own worktree"
