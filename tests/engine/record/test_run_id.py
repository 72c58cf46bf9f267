"""Run ids: their form, their time and their order."""

from __future__ import annotations

import pytest
from pytest_gump.engine.record.run_id import by_time, is_run_id, started_at

RUN = "20261122-061512-tdd-7f3a0c"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(RUN, True), (f"{RUN}.scratch", False), ("20261122-061512-7f3a0c", False), (".trash", False), ("", False)],
)
def test_only_complete_ids_are_run_ids(name: str, is_one: bool) -> None:
    assert is_run_id(name) is is_one


def test_id_contains_the_time_of_the_run() -> None:
    assert started_at(RUN) == 1795328112.0
    assert started_at("20269922-061512-tdd-7f3a0c") == started_at("something") == 0.0


def test_ids_of_one_second_sort_by_their_last_part_and_not_by_the_workflow() -> None:
    first, second, third = "20261122-061512-zoo-000000", "20261122-061512-a-b-7f3a0c", "20261122-061513-a-000000"
    assert sorted([third, second, first], key=by_time) == [first, second, third]
