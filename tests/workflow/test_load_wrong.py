from __future__ import annotations

from pathlib import Path

import pytest
from pytest_gump.errors import WorkflowError

from tests.workflow.loading import NOWHERE, Case, load, read_table, refusal

TABLES = [Path(__file__).with_name(f"wrong_{name}.txt") for name in ("workflows", "when", "templates", "context")]


WRONG = [case for table in TABLES for case in read_table(table)]


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.title.replace(" ", "-") for wrong in WRONG])
def test_an_invalid_workflow_has_the_expected_message(wrong: Case, tmp_path: Path) -> None:
    """Other files of a case begin with `--- NAME`; they are workflows of the same project."""
    text, *others = wrong.files.items()
    folder = tmp_path / ".gump" / "workflows"
    for name, content in others:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    assert refusal(text[1], project=tmp_path if others else NOWHERE) == wrong.expected


def test_the_table_has_no_duplicate_cases() -> None:
    assert len(WRONG) >= 150
    assert len({wrong.title for wrong in WRONG}) == len(WRONG)


def test_a_control_character_is_refused_with_its_position() -> None:
    assert refusal("name: flow\ndescription: a\x07b\n") == ("flow.yaml:2:15: character U+0007 is not allowed in YAML")


def test_an_error_in_an_aliased_value_is_reported_once() -> None:
    text = "name: flow\nsteps:\n  - {name: a, gate: &g [tets]}\n  - {name: b, gate: *g}\n"
    assert refusal(text) == "flow.yaml:3:25: unknown gate 'tets'\n  hint: did you mean 'test'?"


def test_a_file_inside_the_project_has_a_relative_path(tmp_path: Path) -> None:

    with pytest.raises(WorkflowError, match=r"^\.gump/workflows/mine\.yaml:1:1: the file is empty"):
        load("", project=tmp_path, name=".gump/workflows/mine.yaml")


def test_errors_have_machine_readable_positions() -> None:

    with pytest.raises(WorkflowError) as caught:
        load("name: flow\nsteps:\n  - {name: a, gate: [x1, x2]}\n")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(3, 22), (3, 26)]
