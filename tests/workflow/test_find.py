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


def test_a_project_workflow_overrides_user_and_builtin(project: Path, home: Path) -> None:
    assert find_workflow("tdd", project, home).source == "built-in"
    put(home, "tdd.yaml")
    assert find_workflow("tdd", project, home).source == "user"
    path = put(project, "tdd.yml", "name: mine\n")
    found = find_workflow("tdd", project, home)
    assert (found.source, found.path, found.text, found.name) == ("project", path, "name: mine\n", "tdd")


def test_builtins_are_found_in_a_checkout(project: Path) -> None:
    found = find_workflow("tdd", project, None)
    assert found.path == builtin_folder() / "tdd.yaml"
    assert found.text.startswith("# yaml-language-server")


def test_a_name_ending_in_yaml_is_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "my.yaml").write_text("name: my\n")
    assert find_workflow("my.yaml", project, None).source == "file"
    monkeypatch.chdir(project / ".gump")
    assert find_workflow("../my.yaml", project, None).name == "my"
    assert find_workflow(str(project / "my.yaml"), project, None).path == project / "my.yaml"


def test_the_error_for_a_missing_workflow_lists_the_searched_folders(project: Path, home: Path) -> None:
    assert refusal("tddd", project, home) == (
        f"no workflow 'tddd'; looked in {project}/.gump/workflows, {home}/.gump/workflows, built-in\n"
        "  hint: did you mean 'tdd'?"
    )


def test_the_error_without_a_similar_name_lists_all_workflows(project: Path) -> None:
    assert refusal("zzzz", project).endswith(
        "hint: known: adversarial-review, arch-review, bugfix, cheap2sota, freeform, implement-spec, parallel-tasks, refactor, tdd"
    )


@pytest.mark.parametrize(
    "name", ["../tdd", "a/b/c", "a/../b", "/b", "a/", "..", "-rf", "", "a\\b", "a\x00b", "tdd..", "a b"]
)
def test_a_name_cannot_leave_the_folder(name: str, project: Path) -> None:
    assert "is not the name of a workflow" in refusal(name, project)


def test_the_error_for_a_missing_file_suggests_a_name(project: Path) -> None:
    assert refusal("tdd.yaml", project) == (
        "workflow file 'tdd.yaml' does not exist\n  hint: to name a workflow of the project, omit the suffix: tdd"
    )


def test_a_binary_file_is_refused(project: Path) -> None:
    put(project, "odd.yaml").write_bytes(b"name: \xff\n")
    assert "odd.yaml is not UTF-8 text (byte 6)" in refusal("odd", project)


def test_a_pipe_is_refused_without_waiting(project: Path) -> None:
    os.mkfifo(project / "pipe.yaml")
    assert "is not a regular file" in refusal("pipe.yaml", project)


def test_a_large_file_is_refused(project: Path) -> None:
    with put(project, "large.yaml").open("wb") as file:
        file.truncate(5_000_000)
    assert "bytes; the limit is" in refusal("large", project)


def test_a_file_with_an_invalid_name_is_refused(project: Path) -> None:
    assert "does not exist" in refusal("a\x00.yaml", project)
    assert "does not exist" in refusal("a" * 5000 + ".yaml", project)
    assert "is not the name of a workflow" in refusal("a" * 5000, project)


def test_the_list_omits_overridden_workflows(project: Path, home: Path) -> None:
    put(project, "tdd.yaml")
    put(home, "tdd.yaml")
    put(home, "own.yml")
    (project / ".gump" / "workflows" / "folder.yaml").mkdir()
    assert [(found.name, found.source) for found in list_workflows(project, home)] == [
        ("adversarial-review", "built-in"),
        ("arch-review", "built-in"),
        ("bugfix", "built-in"),
        ("cheap2sota", "built-in"),
        ("freeform", "built-in"),
        ("implement-spec", "built-in"),
        ("own", "user"),
        ("parallel-tasks", "built-in"),
        ("refactor", "built-in"),
        ("tdd", "project"),
    ]
