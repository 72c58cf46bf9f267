"""Conversion of orders and attempts to plain data and back; names of agents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pytest_gump.order import AttemptResult, Order, agent_name, from_wire, to_wire

from tests.kits.examples import examples


@pytest.mark.parametrize("kind", [Order, AttemptResult])
@given(data=st.data())
@examples(25)
def test_the_wire_form_equals_that_of_pydantic(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(st.from_type(kind))
    wire = to_wire(record)
    text = json.dumps(wire)
    assert text == json.dumps(TypeAdapter(kind).dump_python(record, mode="json"))
    assert json.dumps(to_wire(from_wire(kind, json.loads(text)))) == text


@pytest.mark.parametrize(
    ("agent", "mode", "name"),
    [
        ("claude", "diff", "claude"),
        (None, "diff", "gate"),  # the gates after an approval
        (None, "gate", "gate"),
        (None, "merge", "merge"),
        (None, "approve", "approval"),
    ],
)
def test_attempt_without_an_agent_is_named_by_what_it_does(agent: str | None, mode: str, name: str) -> None:
    assert agent_name(agent, mode) == name
