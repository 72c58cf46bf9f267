"""Files that appear or change in the user's checkout and its git folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.checkout_watch import checkout_state
from pytest_gump.system.git.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.testing import GumpProject


@pytest.fixture
def ignoring(gump_project: GumpProject) -> GumpProject:
    ignored = "*.log\n.claude/settings.local.json\n__pycache__/\n.gump/runs/\n"
    gump_project.write({".gitignore": ignored, "pytest.ini": "[pytest]\n"})
    gump_project.commit("begin")
    return gump_project


def appended(place: Path) -> None:
    with place.open("a") as file:
        file.write("# more\n")


def with_its_time_set_back(place: Path) -> None:
    status = place.stat()
    place.write_text("x" * status.st_size)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


CASES = [
    ("conftest.py", "new"),
    ("deep/down/conftest.py", "new"),
    ("deep/pytest.ini", "new"),
    ("gump.toml", "new"),
    ("sitecustomize.py", "new"),
    ("evil.pth", "new"),
    ("notes.txt", "new"),
    (".claude/settings.local.json", "new"),
    (".github/hooks/start.json", "new"),
    (".github/copilot/settings.json", "new"),
    (".mcp.json", "new"),
    (".git/hooks/post-checkout", "new"),
    (".git/info/attributes", "new"),
    (".gump/workflows/tdd.yaml", "new"),
]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_new_file_is_reported(ignoring: GumpProject, name: str, how: str) -> None:
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    place = ignoring.path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("import os\n")
    assert before.changed(checkout_state(repository)) == {name: how}
    place.unlink()
    assert before.changed(checkout_state(repository)) == {}


@pytest.mark.parametrize("name", ["out.log", "__pycache__/app.cpython-311.pyc", ".git/hooks/pre-commit.sample"])
def test_ignored_file_without_effect_on_programs_is_not_reported(ignoring: GumpProject, name: str) -> None:
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    place = ignoring.path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")
    assert before.changed(checkout_state(repository)) == {}


@pytest.mark.parametrize("change", [appended, with_its_time_set_back])
@pytest.mark.parametrize("name", [".git/info/exclude", "conftest.py", ".git/hooks/pre-push", "gump.toml"])
def test_change_of_content_is_reported(ignoring: GumpProject, name: str, change: Callable[[Path], None]) -> None:
    place = ignoring.path / name
    place.parent.mkdir(exist_ok=True)
    appended(place)
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    change(place)
    assert before.changed(checkout_state(repository)) == {name: "changed"}


def test_changed_setting_of_the_repository_is_reported(ignoring: GumpProject) -> None:
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    ignoring.git("config", "core.fsmonitor", "touch /tmp/owned")
    assert before.changed(checkout_state(repository)) == {".git/config": "changed"}


def test_hook_that_becomes_executable_is_reported(ignoring: GumpProject) -> None:
    hook = ignoring.path / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o644)
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    hook.chmod(0o755)
    assert before.changed(checkout_state(repository)) == {".git/hooks/pre-push": "changed"}


def test_hooks_in_a_configured_folder_are_watched(ignoring: GumpProject) -> None:
    ignoring.git("config", "core.hooksPath", "tools/hooks")
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    ignoring.write({"tools/hooks/pre-push": "#!/bin/sh\n"})
    assert before.changed(checkout_state(repository)) == {"tools/hooks/pre-push": "new"}


def test_files_that_programs_obey_are_listed_first(ignoring: GumpProject) -> None:
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    ignoring.write({"a.txt": "", "conftest.py": "", ".git/hooks/z": "", "pytest.ini": "[pytest]\naddopts = -q\n"})
    changed = before.changed(checkout_state(repository))
    assert [*changed] == [".git/hooks/z", "conftest.py", "pytest.ini", "a.txt"]


def test_links_are_not_followed(ignoring: GumpProject) -> None:
    repository = Repository.open(ignoring.path)
    before = checkout_state(repository)
    (ignoring.path / "conftest.py").symlink_to("/dev/zero")
    (ignoring.path / ".claude").symlink_to("/")
    assert before.changed(checkout_state(repository)) == {"conftest.py": "new", ".claude": "new"}
