from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pytest_gump.workflow import schema
from pytest_gump.workflow.find import builtin_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILTINS = sorted(builtin_folder().glob("*.yaml"))


def objects(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for one in part:
            yield from objects(one)
    elif isinstance(part, dict):
        if "properties" in part and part.get("type") == "object":
            yield part
        for one in part.values():
            yield from objects(one)


def mistakes(workflow: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema.json_schema()).iter_errors(workflow)]


def test_the_schema_file_is_current() -> None:
    """If this test fails, run `python -m pytest_gump.workflow.schema`."""
    assert (builtin_folder() / schema.FILE_NAME).read_text(encoding="utf-8") == schema.text()


def test_the_schema_refuses_unknown_keys_at_all_levels() -> None:
    found = list(objects(schema.json_schema()))
    assert len(found) >= 12
    assert all(part["additionalProperties"] is False for part in found)


def test_the_schema_describes_each_key() -> None:
    keys = schema.json_schema()["properties"]
    assert all("description" in key for key in keys.values())
    assert keys["max_budget"] == {
        "description": "USD for the whole run.",
        "exclusiveMinimum": 0,
        "type": "number",
    }


@pytest.mark.parametrize("path", BUILTINS, ids=[path.stem for path in BUILTINS])
def test_builtins_match_the_schema(path: Path) -> None:
    assert not mistakes(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "step",
    [
        {"name": "a", "gaurd": {}},
        {"name": "a", "guard": {"max_turn": 3}},
        {"name": "a", "output": "plans"},
        {"name": "a", "on_failure": {"retries": 2}},
        {"name": "a", "on_failure": {"retry": 0}},
        {"name": "a", "steps": []},
        {"name": "a", "context": [{"fiel": "x"}]},
        {"name": "a", "session": {"step": "x"}},
        {"name": "a", "context": [{"workflow": "x", "inputs": {}}]},
        {"name": "a", "on_failure": {"strategy": [{"same": 1, "when": {"gates": "test"}}]}},
        {"name": "a", "on_failure": {"strategy": [{"same": 1, "when": {"gate": []}}]}},
        {"name": "a", "on_failure": {"strategy": [{"same": 1, "when": {}}]}},
        {"name": "a", "on_failure": {"strategy": [{"same": 1, "when": {"attempt": 1}}]}},
        {"name": "a", "workflow": "review", "with": {"x": [1]}},
        {"name": "a", "workflow": ""},
    ],
)
def test_the_schema_refuses_typos(step: dict[str, Any]) -> None:
    assert mistakes({"name": "flow", "steps": [step]})


def test_the_schema_describes_calls_and_inputs() -> None:
    step = {"name": "a", "workflow": "./review.yaml", "with": {"strictness": "high", "count": 2, "deep": True}}
    inputs = {"strictness": {"type": "choice", "choices": ["low", 2], "default": "low"}, "change": {}}
    assert mistakes({"name": "flow", "inputs": inputs, "steps": [step]}) == []
    assert mistakes({"name": "flow", "inputs": {"x": {"type": "list"}}, "steps": [step]})


def test_the_schema_accepts_the_short_forms() -> None:
    gates = [{"compile": None}, {"bash": True}, "test"]
    strategy = [{"same": None}, {"same": None, "session": "fresh"}]
    steps = [
        {"name": "a", "agent": "codex", "gate": gates, "on_failure": {"retry": 2, "strategy": strategy}},
        {"name": "b", "recipe": "./part.yaml"},
    ]
    assert mistakes({"name": "flow", "description": None, "inputs": {"plain": None}, "steps": steps}) == []
    assert mistakes({"name": "flow", "inputs": {"x": {"default": None}}, "steps": steps})
    assert mistakes({"name": "flow", "inputs": None, "steps": steps})
    assert mistakes({"name": "flow", "steps": [{"name": "a", "gate": None}]})


def test_the_schema_proposes_names_wherever_they_are_written() -> None:
    made = schema.json_schema(agents=("fast",), gates=("no_todo",), workflows=("acme/tdd",))
    parts = made["$defs"]
    step, policy = parts["StepKeys"]["properties"], parts["PolicyKeys"]["properties"]
    for part in (step["agent"], parts["Escalate"]["properties"]["escalate"], parts["Replan"]["properties"]["replan"]):
        assert part["anyOf"][0] == {"enum": ["fast"]}
    for part in (
        step["workflow"],
        step["recipe"],
        *(parts[name]["properties"]["validate"] for name in ("ValidateKeys", "WhenKeys")),
    ):
        assert part["anyOf"][0] == {"enum": ["acme/tdd"]}
    assert policy["strategy"]["items"]["anyOf"][0]["anyOf"][0] == {"enum": ["same", "escalate: fast"]}
    Draft202012Validator.check_schema(made)
    named = {"retry": 2, "strategy": ["same: 2", "escalate: other", {"replan": "other"}]}
    step = {"name": "a", "agent": "other", "gate": ["x", {"validate": "./y.yaml"}], "on_failure": named}
    assert [*Draft202012Validator(made).iter_errors({"name": "flow", "steps": [step]})] == []


def test_the_schema_is_written_for_editors(tmp_path: Path) -> None:
    assert schema.write(tmp_path).read_text(encoding="utf-8") == schema.text()
