from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.git.runner import GitRunner

from tests.system.git_project import make_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("is_user", "name"), [(True, "A Writer"), (False, "gump")])
def test_identity_of_the_environment_is_used_only_for_the_user(
    monkeypatch: pytest.MonkeyPatch, *, is_user: bool, name: str
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "A Writer")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "writer@example.org")
    assert GitRunner(is_user=is_user).check("var", "GIT_AUTHOR_IDENT").line.startswith(f"{name} <")


def test_input_output_and_errors_are_complete(tmp_path: Path) -> None:
    git = GitRunner("-C", str(make_project(tmp_path).root))
    text = b"\0\xff" * 100_000  # more than the capacity of a pipe
    blob = git.check("hash-object", "-w", "--stdin", stdin=text).line
    assert git.check("cat-file", "blob", blob).stdout == text
    with pytest.raises(WorktreeError, match="git cat-file failed: Not a valid object name nothing"):
        git.check("cat-file", "blob", "nothing")


def test_git_starts_without_gitpython(tmp_path: Path) -> None:
    root = make_project(tmp_path).root
    program = (
        "import sys; from pathlib import Path; from pytest_gump.system.git.repository import Repository\n"
        "Repository.open(Path.cwd()).head(); print('git' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("entry", ["", ".", "bin"])
def test_git_in_a_slot_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    project = make_project(tmp_path)
    slot, base = project.slot(), project.git("rev-parse", "HEAD")
    slot.prepare(base)
    project.write({"git": "#!/bin/sh\nexit 1\n", "bin/git": "#!/bin/sh\nexit 1\n"}, below=slot.path)
    for name in ("git", "bin/git"):
        (slot.path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{entry}{os.pathsep}{os.environ['PATH']}")
    tree = slot.snapshot(base, "attempt\n", "refs/gump/run-1/attempt-1").tree
    assert {"git", "bin/git"} <= {*project.git("ls-tree", "-r", "--name-only", tree).split()}


OLD = "#!/bin/sh\necho 'git version 2.30.1'\n"
OLD_WITH_EVENTS = """#!/bin/sh
test -z "$GIT_TRACE2_EVENT" || echo '{"event":"version","evt":"2","exe":"2.30.1"}' >&2
"""


@pytest.mark.parametrize("program", [OLD, OLD_WITH_EVENTS])
def test_old_git_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    (tmp_path / "git").write_text(program)
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(WorktreeError, match=r"git 2\.38 or newer is needed; this is 'git version 2\.30\.1'"):
        Repository.open(tmp_path)
