"""A real repository for the tests of git. git creates it, with an identity of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.system.worktrees.slot import Slot

USER = ("-c", "user.name=User", "-c", "user.email=user@example.org")


@dataclass(frozen=True)
class Project:
    root: Path
    slots_root: Path

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        command = ["git", *USER, *arguments]
        done = subprocess.run(command, cwd=cwd or self.root, check=True, capture_output=True)
        return os.fsdecode(done.stdout).rstrip("\n")

    def write(self, files: dict[str, str | bytes], *, below: Path | None = None) -> None:
        for name, content in files.items():
            path = (below or self.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def begin_conflict(self, path: str) -> None:
        """Start a merge of two branches that both write this file, and leave it unfinished."""
        self.git("checkout", "-q", "-b", "side")
        self.write({path: "side\n"})
        self.commit()
        self.git("checkout", "-q", "main")
        self.write({path: "main\n"})
        self.commit()
        with pytest.raises(subprocess.CalledProcessError):
            self.git("merge", "side")

    def open(self) -> Repository:
        return Repository.open(self.root)

    def slot(self, name: str = "one") -> Slot:
        return Slots(self.open(), self.slots_root).slot(name)

    def state(self) -> dict[str, str]:
        """Return everything in the user's repository that a run must not change."""
        git_dir = self.root / ".git"
        return {
            "head": (git_dir / "HEAD").read_text(),
            "config": (git_dir / "config").read_text(),
            "index": (git_dir / "index").read_bytes().hex(),
            "refs": self.git("for-each-ref", "refs/heads", "refs/tags", "refs/stash"),
            "reflog": self.git("reflog", "--all"),
            "status": self.git("--no-optional-locks", "status", "--porcelain", "--ignored"),
        }


def counting_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Put a git on PATH that counts its starts. Return a function for the number since its last call."""
    git, calls = shutil.which("git"), folder / "calls"
    (folder / "bin").mkdir()
    counting = folder / "bin/git"
    counting.write_text(f'#!/bin/sh\necho >> "{calls}"\nexec "{git}" "$@"\n')
    counting.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def count() -> int:
        count = len(calls.read_text().splitlines()) if calls.exists() else 0
        calls.write_text("")
        return count

    return count


def logging_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """Put a git on PATH that logs its commands. Return a function for those since its last call, without git's options."""
    git, log = shutil.which("git"), folder / "git.log"
    (folder / "logging").mkdir()
    logging = folder / "logging/git"
    logging.write_text(f'#!/bin/sh\n(printf "%s\\037" "$@"; echo) >> "{log}"\nexec "{git}" "$@"\n')
    logging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{logging.parent}{os.pathsep}{os.environ['PATH']}")

    def commands() -> list[list[str]]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return [_without_options(line.split("\037")[:-1]) for line in lines]

    return commands


def _without_options(words: list[str]) -> list[str]:
    while words[0].startswith("-"):
        words = words[2 if words[0] in {"-C", "-c"} else 1 :]
    return words


def make_project(folder: Path, *options: str) -> Project:
    root = folder / "my 'Projekt' ü"
    root.mkdir(parents=True)
    project = Project(root, folder / "cache" / "slots")
    project.git("init", "-q", "-b", "main", *options)
    project.write(
        {
            "app.py": "one\ntwo\nthree\n",
            "pkg/mod.py": "x = 1\n",
            "pkg/deep/er.py": "y = 1\n",
            "README": "read me\n",
            ".gitignore": "*.log\n__pycache__/\nbuild/\nnode_modules/\n",
        }
    )
    project.commit("base")
    return project


def files_of(slot: Slot) -> set[str]:
    return {
        str(path.relative_to(slot.path))
        for path in slot.path.rglob("*")
        if ".git" not in path.relative_to(slot.path).parts[:1] and (path.is_symlink() or not path.is_dir())
    }
