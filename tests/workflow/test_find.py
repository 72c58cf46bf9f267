from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import ConfigError
from pytest_gump.workflow.find import builtin_folder, find_workflow, list_workflows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / ".gump" / "workflows").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".gump" / "workflows").mkdir(parents=True)
    return tmp_path / "home"


def put(folder: Path, name: str, text: str = "name: x\n") -> Path:
    path = folder / ".gump" / "workflows" / name
    path.write_text(text)
    return path


def refusal(name: str, project: Path, home: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        find_workflow(name, project, home)
    return str(caught.value)


def test_project_comes_before_user_and_builtin(project: Path, home: Path) -> None:
    assert find_workflow("tdd", project, home).source == "built-in"
    put(home, "tdd.yaml")
    assert find_workflow("tdd", project, home).source == "user"
    path = put(project, "tdd.yml", "name: mine\n")
    found = find_workflow("tdd", project, home)
    assert (found.source, found.path, found.text, found.name) == ("project", path, "name: mine\n", "tdd")


def test_builtins_are_seen_from_a_checkout(project: Path) -> None:
    found = find_workflow("tdd", project, None)
    assert found.path == builtin_folder() / "tdd.yaml"
    assert found.text.startswith("# yaml-language-server")


def test_name_that_ends_in_yaml_is_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "my.yaml").write_text("name: my\n")
    assert find_workflow("my.yaml", project, None).source == "file"
    monkeypatch.chdir(project / ".gump")
    assert find_workflow("../my.yaml", project, None).name == "my"
    assert find_workflow(str(project / "my.yaml"), project, None).path == project / "my.yaml"


def test_missing_workflow_says_where_it_was_looked_for(project: Path, home: Path) -> None:
    assert refusal("tddd", project, home) == (
        f"no workflow 'tddd'; looked in {project}/.gump/workflows, {home}/.gump/workflows, built-in\n"
        "  hint: did you mean 'tdd'?"
    )


def test_missing_workflow_with_no_near_name_lists_all(project: Path) -> None:
    assert refusal("zzzz", project).endswith(
        "hint: known: adversarial-review, bugfix, cheap2sota, freeform, parallel-tasks, refactor, tdd"
    )


@pytest.mark.parametrize("name", ["../tdd", "a/b", "..", "-rf", "", "a\\b", "a\x00b", "tdd..", "a b"])
def test_name_cannot_leave_the_folder(name: str, project: Path) -> None:
    assert "is not the name of a workflow" in refusal(name, project)


def test_missing_file_points_at_names(project: Path) -> None:
    assert refusal("tdd.yaml", project) == (
        "workflow file 'tdd.yaml' does not exist\n  hint: to name a workflow of the project, omit the suffix: tdd"
    )


def test_file_that_is_no_text_is_refused(project: Path) -> None:
    put(project, "odd.yaml").write_bytes(b"name: \xff\n")
    assert "odd.yaml is not UTF-8 text (byte 6)" in refusal("odd", project)


def test_pipe_is_refused_without_waiting(project: Path) -> None:
    os.mkfifo(project / "pipe.yaml")
    assert "is not a regular file" in refusal("pipe.yaml", project)


def test_large_file_is_refused(project: Path) -> None:
    with put(project, "large.yaml").open("wb") as file:
        file.truncate(5_000_000)
    assert "bytes; the limit is" in refusal("large", project)


def test_file_with_an_impossible_name_is_refused(project: Path) -> None:
    assert "does not exist" in refusal("a\x00.yaml", project)
    assert "does not exist" in refusal("a" * 5000 + ".yaml", project)
    assert "is not the name of a workflow" in refusal("a" * 5000, project)


def test_list_leaves_out_what_is_hidden(project: Path, home: Path) -> None:
    put(project, "tdd.yaml")
    put(home, "tdd.yaml")
    put(home, "own.yml")
    (project / ".gump" / "workflows" / "folder.yaml").mkdir()
    assert [(found.name, found.source) for found in list_workflows(project, home)] == [
        ("adversarial-review", "built-in"),
        ("bugfix", "built-in"),
        ("cheap2sota", "built-in"),
        ("freeform", "built-in"),
        ("own", "user"),
        ("parallel-tasks", "built-in"),
        ("refactor", "built-in"),
        ("tdd", "project"),
    ]
