from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.workflow.find import Found, list_workflows
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.refs import iter_steps, templated
from pytest_gump.workflow.schema import FILE_NAME

if TYPE_CHECKING:
    from pytest_gump.workflow.loaded import Loaded

NOWHERE = Path("/nowhere/project")
BUILTINS = list_workflows(NOWHERE, None)
NAMES = [
    "adversarial-review", "arch-review", "bugfix", "cheap2sota", "freeform", "implement-spec", "parallel-tasks", "refactor",
    "tdd",
]  # fmt: skip
AGENTS = ("claude-opus", "claude-sonnet", "claude-haiku")


def load(found: Found) -> Loaded:
    return load_workflow(found, project=NOWHERE, agents=lambda name: None if name in AGENTS else f"unknown {name}")


VALIDATORS = ("arch-review",)
every_builtin = pytest.mark.parametrize("found", BUILTINS, ids=[found.name for found in BUILTINS])


def test_the_builtins_are_known() -> None:
    assert [found.name for found in BUILTINS] == NAMES


@every_builtin
def test_a_builtin_loads_under_its_own_name(found: Found) -> None:
    workflow = load(found).workflow
    assert workflow.name == found.name
    assert workflow.description
    assert workflow.max_budget is not None


@every_builtin
def test_a_builtin_names_its_schema_for_editors(found: Found) -> None:
    assert found.text.splitlines()[0] == f"# yaml-language-server: $schema=./{FILE_NAME}"


@every_builtin
def test_the_last_step_of_a_builtin_runs_the_checks_of_the_project_or_is_a_verdict(found: Found) -> None:
    last = load(found).workflow.steps[-1]
    if found.name in VALIDATORS:
        assert last.output == "review"
    else:
        assert {"compile", "test"} <= {gate.name for gate in last.gate}


@every_builtin
def test_a_builtin_names_no_programming_language(found: Found) -> None:
    assert not re.search(r"\b(pytest|python|cargo|npm|jest|golang|\w+\.py|_test\.go)\b", found.text, re.IGNORECASE)


@every_builtin
def test_each_change_has_gates_and_each_prompt_has_text(found: Found) -> None:
    steps = [step for _, step in iter_steps(load(found).workflow.steps) if step.agent is not None]
    assert all(step.gate for step in steps if step.output == "diff")
    assert all(len(text) > 100 for step in steps for key, text in templated(step) if key == "prompt")


@every_builtin
def test_no_prompt_repeats_the_files_of_an_item(found: Found) -> None:
    """The prompt has a section on them, which leaves out the files that an `untouched` gate protects."""
    assert "{item.files}" not in found.text


@every_builtin
def test_the_change_of_a_step_is_marked_as_a_diff(found: Found) -> None:
    steps = dict(iter_steps(load(found).workflow.steps))
    for step in steps.values():
        outside = re.sub(r"```diff\n.*?\n```", "", step.prompt or "", flags=re.DOTALL)
        assert "{diff}" not in outside
        names = [name.split(".")[-1] for name in re.findall(r"\{steps\.([\w.]+)\.output\}", outside)]
        assert not [other.name for other in steps.values() if other.name in names and other.output == "diff"]


def test_tdd_has_the_steps_of_the_language_page() -> None:
    loaded = load(next(found for found in BUILTINS if found.name == "tdd"))
    assert list(loaded.lines) == ["decompose", "build", "build::tests", "build::impl", "quality"]
    impl = loaded.workflow.steps[1].steps[1]
    assert loaded.workflow.max_budget == 5
    assert impl.session.mode == "reuse"
    assert impl.on_failure is not None
    assert impl.on_failure.flat is not None
    assert impl.on_failure.flat.retry == 5
    assert [entry.agent for entry in impl.on_failure.flat.strategy] == [None, None, None, "claude-sonnet"]
    assert impl.on_failure.flat.restart_from == "tests"
