"""Random files of Gump 0.0.4: each loads or is refused, and its conversion loads to the same workflow."""

from __future__ import annotations

import re
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest_gump.errors import WorkflowError
from pytest_gump.workflow import keys
from pytest_gump.workflow.convert import HEADER, convert_workflow
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.former.blocks import ALL
from pytest_gump.workflow.former.retry import CONDITIONS, OVERRIDES
from pytest_gump.workflow.former.translate import KEYS

from tests.kits.examples import examples
from tests.workflow.loading import NOWHERE, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn
    from pytest_gump.workflow.model import Workflow

AGENTS = st.sampled_from(["claude-haiku", "claude-opus", "claude-sonnet"])
PARTS = [
    "Do {spec}", "{error}", "{team}", "{{x}}", '{"a": 1}', "\n", "\n\n", "  ", "é☃", "# no", "a: b", "'", '"', "\t", "\\", "-",
    "{s0.output}", "{s0.files}", "{attempt}", "yes", "| text", "\x07", "\u2028", "%", "- x", "[1]", "null", "0o7 x",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join).filter(str.strip)
GATES = st.lists(
    st.sampled_from(["compile", "test", "lint", "bash: echo 'x: y'", "touched: *_test.*"]), max_size=3, unique=True
)
VALIDATORS = st.sampled_from(
    [
        "validate: validators/arch-review",
        {"validate": "validators/arch-review", "agent": "claude-haiku", "diff": "{diff}"},
    ]
)


@st.composite
def retries(draw: DrawFn, gates: list[str]) -> list[dict[str, Any]]:
    numbers = sorted(draw(st.sets(st.integers(2, 6), max_size=3)))
    rules: list[dict[str, Any]] = [{"attempt": number, **draw(values())} for number in numbers]
    plain = [gate for gate in gates if gate in {"compile", "test", "lint"}]
    if plain and draw(st.integers(0, 3)) == 0:
        rules.insert(
            draw(st.integers(0, len(rules))), {"not": f"gate.{draw(st.sampled_from(plain))}", **draw(values())}
        )
    return [*rules, {"exit": draw(st.integers(1, 8))}]


def values() -> st.SearchStrategy[dict[str, Any]]:
    optional = {"agent": AGENTS, "session": st.just("new"), "worktree": st.just("reset"), "prompt": TEXT}
    return st.fixed_dictionaries({}, optional=optional)


@st.composite
def steps(draw: DrawFn, depth: int, prefix: str, *, in_each: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"name": f"{prefix}0", "type": "artifact", "agent": "claude-opus"}]
    kinds = ["code", "code", "validate", "artifact", "gate", *(["split", "group"] if depth else [])]
    names = [f"{prefix}{number}" for number in range(1, draw(st.integers(1, 3)) + 1)]
    return found + [draw(step(draw(st.sampled_from(kinds)), depth, name, in_each=in_each)) for name in names]


@st.composite
def step(draw: DrawFn, kind: str, depth: int, name: str, *, in_each: bool) -> dict[str, Any]:
    gates = draw(GATES) if kind != "gate" else ["test"]
    if kind == "gate":
        return {"name": name, "gate": gates}
    if kind == "group":
        return {"name": name, "parallel": True, "steps": draw(steps(depth - 1, f"{name}x", in_each=in_each))}
    prompt = draw(TEXT) + (" {task.description}" if in_each else "")
    get: dict[str, Any] = {
        "prompt": prompt,
        **({"context": [{"file": "a.md"}, {"bash": "ls"}]} if draw(st.booleans()) else {}),
    }
    has_blocks = draw(st.booleans())
    if has_blocks and draw(st.booleans()):
        get |= {"workflow": "validators/arch-review", "focus": draw(st.sampled_from(["{spec}", "a", 1]))}
    if draw(st.booleans()):
        get |= draw(st.sampled_from([{"session": {"from": "s0"}}, {"session": "new"}, {"worktree": "read-only"}]))
    run: dict[str, Any] = {"agent": draw(AGENTS | st.sampled_from(["{s0.agent}", "{author}"]))}
    if draw(st.booleans()):
        run["guard"] = {"max_turns": draw(st.integers(1, 9)), "timeout": "5m"}
    made = {"name": name, "type": kind, **({"get": get, "run": run} if has_blocks else {**get, **run})}
    if gates and kind == "code":
        made["gate"] = [*gates, *draw(st.lists(VALIDATORS, max_size=1))]
        run |= draw(st.sampled_from([{}, {"hitl": True}, {"hitl": "after_gate"}]))
        made |= {} if has_blocks else run
    if draw(st.booleans()):
        made["retry"] = draw(retries(gates if kind == "code" else []))
    if kind == "split":
        made["each"] = draw(steps(depth - 1, f"{name}x", in_each=True))
        made["parallel"] = draw(st.booleans())
    return made


def load_found(found: Found) -> Workflow:
    return load(found.text).workflow


def dump(written: object) -> str:
    return yaml.safe_dump(written, allow_unicode=True, sort_keys=False)


@examples(100)
@given(steps(2, "s", in_each=False))
def test_a_converted_file_loads_to_the_same_workflow(written: list[dict[str, Any]]) -> None:
    text = dump({"name": "flow", "max_timeout": "1h", "steps": written})
    workflow = load(text).workflow
    assert len(workflow.steps) >= len(written)
    converted, problems = convert(text)
    if problems:
        assert all("cannot be expressed in the current language" in problem for problem in problems)
        assert any(rule.get("not") for rule in rules(written))
    else:
        assert converted.startswith(HEADER)
        assert load(converted).workflow == workflow


def convert(text: str) -> tuple[str, list[str]]:
    """Return the converted file, or the problems."""
    found = Found(NOWHERE / "flow.yaml", "file", "flow", text)
    try:
        return convert_workflow(found, project=NOWHERE, load=load_found), []
    except WorkflowError as error:
        return "", [problem.message for problem in error.problems]


@examples(50)
@given(steps(2, "s", in_each=False), st.data())
def test_each_comment_is_kept_once(written: list[dict[str, Any]], data: st.DataObject) -> None:
    lines = dump({"name": "flow", "steps": written}).rstrip("\n").split("\n")
    places = [
        number
        for number, line in enumerate(lines)
        if re.match(" *(- )?(name|type|gate|retry|agent): *[a-z0-9-]*$", line)
    ]
    chosen = data.draw(st.sets(st.sampled_from(places)))
    behind = data.draw(st.sets(st.sampled_from(places)))
    texts = [f"above {number}" for number in chosen] + [f"behind {number}" for number in behind] + ["last"]
    for number in sorted(chosen | behind, reverse=True):
        lines[number] += f"  # behind {number}" * (number in behind)
        lines[number:number] = [f"# above {number}"] * (number in chosen)
    text = "\n".join([*lines, "#last", ""])
    converted, problems = convert(text)
    assume(not problems)
    assert [converted.count(f"# {comment}\n") for comment in texts] == [1] * len(texts)
    assert load(converted).workflow == load(dump({"name": "flow", "steps": written})).workflow


WORDS = sorted(
    {*ALL, *KEYS, *CONDITIONS, *OVERRIDES, *keys.keys(keys.WorkflowKeys), *keys.keys(keys.StepKeys), "bogus", "green"}
    | {*keys.keys(keys.GuardKeys), *keys.keys(keys.ValidateKeys), *keys.keys(keys.PolicyKeys), "file", "from"}
)
VALUES = st.sampled_from([True, 3, "x", "claude-opus", ["test"], {"a": "b"}, {"agent": "codex"}, {"prompt": "y"}])
"""None of them is the default of a key."""


@examples(100)
@given(steps(2, "s", in_each=False), st.data())
def test_a_key_is_refused_or_changes_the_workflow(written: list[dict[str, Any]], data: st.DataObject) -> None:
    file = deepcopy({"name": "flow", "steps": written})
    before = load(dump(file))
    assume(not any("is never used" in note.message for note in before.notes))
    mapping = data.draw(st.sampled_from([*mappings(file)]))
    key = data.draw(st.sampled_from([word for word in WORDS if word not in mapping]))
    mapping[key] = data.draw(VALUES)
    with suppress(WorkflowError):
        after = load(dump(file))
        assert (after.workflow, after.notes) != (before.workflow, before.notes)


def mappings(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from mappings(child)


def rules(written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    below = [inner for made in written for inner in rules(made.get("each", []) + made.get("steps", []))]
    return [*(rule for made in written for rule in made.get("retry", [])), *below]


anything = st.recursive(
    st.sampled_from(["code", "split", "s0", "{task.name}", "gate.test", "new", "reset", "pass", "claude-opus", "5m", ""])
    | st.none() | st.booleans() | st.integers(-1, 5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*ALL, *CONDITIONS, *OVERRIDES, "file", "from", "max_time", "timeout"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
any_steps = st.lists(st.dictionaries(st.sampled_from(ALL), anything, max_size=6), max_size=4)


@examples(150)
@given(st.dictionaries(st.sampled_from(KEYS), anything | any_steps, max_size=6), any_steps)
def test_any_file_loads_or_is_refused_with_positions(root: dict[str, Any], written: list[dict[str, Any]]) -> None:
    text = dump(
        {**root, "max_timeout": "1h", "steps": [{"name": "s0", "type": "code", "agent": "claude-opus"}, *written]}
    )
    lines = text.count("\n") + 2
    try:
        loaded = load(text)
    except WorkflowError as error:
        problems = error.problems
    else:
        assert loaded.workflow.steps
        return
    assert problems
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in problems)
