"""The state of the checkout from one `git status`."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.checkout_status import OF_TRACKED_FILES, checkout_status

from tests.kits.processes import is_alive, wait_until
from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_unusual_file_names_are_complete(project: Project) -> None:
    odd = "with space\nand line ü.py"
    project.write({odd: "x = 1\n", "gone.py": "", "staged.py": ""})
    head = project.commit()
    project.write({odd: "x = 2\n", "staged.py": "x = 1\n", "new one/# odd": "", "new one/? odd": ""})
    (project.root / "gone.py").unlink()
    project.git("add", "staged.py")
    status = project.open().status()
    assert (status.head, status.branch, status.unmerged) == (head, "main", ())
    assert status.modified == {odd: ".M", "gone.py": ".D", "staged.py": "M."}
    assert sorted(status.untracked) == ["new one/# odd", "new one/? odd"]
    assert status.dirty == ["gone.py", "staged.py", odd]


def test_untracked_files_are_listed_singly_and_ignored_folders_as_one_entry(project: Project) -> None:
    names = ("new/a.py", "new/b.py", "sub/out.log", "cache/deep/1", "cache/2")
    project.write({"sub/.gitignore": "*.log\n", ".gitignore": "cache/\n", **dict.fromkeys(names, "")})
    status = project.open().status()
    assert status.untracked == ("new/a.py", "new/b.py", "sub/.gitignore")
    assert status.ignored == ("cache/", "sub/out.log")


def test_status_of_tracked_files_leaves_out_other_files(project: Project) -> None:
    project.write({"new.py": "", "app.py": "changed\n"})
    status = checkout_status(project.open().checkout.run(*OF_TRACKED_FILES))
    assert (status.dirty, status.untracked, status.ignored) == (["app.py"], (), ())


@pytest.mark.parametrize(("checkout", "branch"), [(("-b", "team/topic"), "team/topic"), (("--detach",), None)])
def test_branch_has_its_short_name(project: Project, checkout: tuple[str, ...], branch: str | None) -> None:
    project.git("checkout", "-q", *checkout)
    project.git("tag", "team/topic")  # git's own short name is then heads/team/topic
    assert project.open().status().branch == branch


def test_files_added_on_both_sides_are_unmerged(project: Project) -> None:
    project.begin_conflict("both.py")
    status = project.open().status()
    assert status.unmerged == ("both.py",)
    assert status.modified == {"both.py": "AA"}


def test_status_takes_one_git_process(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repository = project.open()
    count = counting_git(tmp_path_factory.mktemp("git"), monkeypatch)
    repository.status()
    assert count() == 1


def test_status_can_start_before_it_is_requested(project: Project) -> None:
    repository = project.open()
    repository.begin_status()
    project.write({"late.py": ""})
    assert repository.status().untracked in {(), ("late.py",)}
    assert repository.status().untracked == ("late.py",)


def test_unused_status_process_is_ended(project: Project) -> None:
    repository = project.open()
    repository.begin_status()
    repository.close()
    repository.close()
    assert repository.status().untracked == ()


@pytest.fixture
def filter_pid(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], int]]:
    """Return a function that waits for the start of a filter of git, which does not end by itself, and returns its pid."""
    began = tmp_path_factory.mktemp("filter") / "began"
    os.mkfifo(began)
    project.write({".gitattributes": "*.slow filter=slow\n", "a.slow": "1\n"})
    project.commit()
    project.git("config", "filter.slow.clean", f"echo $$ > '{began}'; exec cat '{began}'")
    project.write({"a.slow": "2\n"})
    pid = cache(lambda: int(began.read_text()))
    yield pid
    if is_alive(pid()):
        os.kill(pid(), signal.SIGKILL)


def test_unused_status_process_is_ended_with_its_filters(project: Project, filter_pid: Callable[[], int]) -> None:
    repository = project.open()
    repository.begin_status()
    assert is_alive(filter_pid())
    repository.close()
    wait_until(lambda: not is_alive(filter_pid()))


def test_ctrl_c_ends_a_running_status_process(
    project: Project, filter_pid: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = project.open()

    def interrupt(_process: object, _stdin: object) -> tuple[bytes, bytes]:
        assert is_alive(filter_pid())
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        repository.status()
    wait_until(lambda: not is_alive(filter_pid()))
