from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.attempt.gate_phase import CommandRunner
from pytest_gump.engine.attempt.side import beside
from pytest_gump.engine.attempt.workplace import make_workplace
from pytest_gump.errors import WorktreeError

from tests.engine.attempt_kit import Kit

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.processes.process import Supervisor


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor) -> Kit:
    return Kit(tmp_path, supervisor)


def test_commands_in_the_side_slot_see_other_files_than_the_attempt(kit: Kit) -> None:
    before, tools = kit.base, kit.tools()
    order = kit.order(base=kit.commit({"app.py": "x = 2\n"}), side="two", setup=("echo ready > build.log",))
    slot = tools.slots.slot(order.slot)
    slot.prepare(order.base)
    own = make_workplace(order, tools, slot)
    side = beside(order, tools, own, before)
    run = CommandRunner(tools, side, {}, 60.0)
    assert run("cat app.py build.log", label="show").output.split() == ["x", "=", "1", "ready"]
    assert (own.worktree / "app.py").read_text() == "x = 2\n"
    assert beside(order, tools, own, order.base).worktree == side.worktree
    assert (side.worktree / "app.py").read_text() == "x = 2\n"


def test_an_order_without_a_side_slot_has_no_second_worktree(kit: Kit) -> None:
    tools, order = kit.tools(), kit.order()
    slot = tools.slots.slot(order.slot)
    slot.prepare(order.base)
    with pytest.raises(WorktreeError, match="has no side slot"):
        beside(order, tools, make_workplace(order, tools, slot), kit.base)


def test_a_side_slot_that_cannot_be_set_up_is_an_error(kit: Kit) -> None:
    tools, order = kit.tools(), kit.order(side="two", setup=("exit 3",))
    slot = tools.slots.slot(order.slot)
    slot.prepare(order.base)
    with pytest.raises(WorktreeError, match="setup failed: exit 3"):
        beside(order, tools, make_workplace(order, tools, slot), kit.base)
