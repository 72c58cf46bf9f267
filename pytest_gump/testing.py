"""Fixture for tests of workflows, gates and hooks: a temporary repository with a scripted agent.

Enable it in a conftest.py with `pytest_plugins = ["pytester", "pytest_gump.testing"]`::

    def test_second_attempt_passes(gump_project):
        gump_project.workflow("fix", FIX)  # step `impl`, `gate: [compile]`, `on_failure: {retry: 2}`
        gump_project.answer("impl", writes={"app.py": "def broken(:\n"})
        gump_project.answer("impl", attempt=2, writes={"app.py": "ok = 1\n"})
        result = gump_project.run("fix")
        result.assert_outcomes(passed=1)
"""

from __future__ import annotations

import json
import os
import subprocess  # runs git as a user would
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

import pytest_gump.conductor  # pytester unloads modules that a session imports, but C extensions load only once
import pytest_gump.session.resume
import pytest_gump.session.runner  # noqa: F401 - as above
from pytest_gump.agents.cassettes import neutral
from pytest_gump.agents.cassettes.cassette import INDEX, VERSION, write_take
from pytest_gump.engine.record.run_folder import RunFolder, run_folders
from pytest_gump.engine.record.stored_run import StoredRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from git import Repo

    from pytest_gump.agents.streams.json_reader import Outcome
    from pytest_gump.agents.usage import Tokens
    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.record.records import RunRecord

USER = {
    "GIT_AUTHOR_NAME": "A User",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "A User",
    "GIT_COMMITTER_EMAIL": "user@example.org",
}
_NO_MAINTENANCE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "maintenance.auto", "GIT_CONFIG_VALUE_0": "false"}
"""Each commit would otherwise start another git process, which finds that a small repository needs no maintenance."""


class GumpProject:
    """A git repository in a temporary folder with a `spec.md`, and a cassette that replaces all agents."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        self.cassette = self.path.parent / f"{self.path.name}-cassette"
        self.cassette.mkdir()
        (self.cassette / INDEX).write_text(json.dumps({"version": VERSION, "takes": []}), encoding="utf-8")
        self.git("init", "--quiet", "--initial-branch=main")
        self.write({"spec.md": "# What to build\n\nSomething small.\n", ".gitignore": "__pycache__/\n.pytest_cache/\n"})
        self._commit("start")

    # -- the repository ------------------------------------------------------------------------------------------

    def git(self, *arguments: str) -> str:
        """Run git in the project as user `A User`. Return its output, stripped."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= USER | _NO_MAINTENANCE
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.fail(f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    @cached_property
    def repo(self) -> Repo:
        """The project as a GitPython `Repo`.

        Importing GitPython takes 50 ms and starts two git processes, so it happens here.
        """
        from git import Repo

        return Repo(self.path, expand_vars=False)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files. Paths are relative to the project."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(self, message: str = "change") -> str:
        """Commit all changes and return the commit id."""
        self._commit(message)
        return self.git("rev-parse", "HEAD")

    def _commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def workflow(self, name: str, text: str) -> Path:
        """Write and commit a workflow of the project. Return its path."""
        self.write({f".gump/workflows/{name}.yaml": text})
        self._commit(f"workflow {name}")
        return self.path / ".gump" / "workflows" / f"{name}.yaml"

    # -- the agent -----------------------------------------------------------------------------------------------

    def answer(
        self,
        step: str,
        *,
        attempt: int = 1,
        agent: str = "",
        writes: Mapping[str, str | bytes] | None = None,
        deletes: Sequence[str] = (),
        out: Mapping[str, str | bytes] | None = None,
        says: str = "Done.",
        turns: int | None = None,
        tokens: Tokens | None = None,
        cost_usd: float | None = 0.01,
        session_id: str | None = None,
        exit_code: int | None = 0,
        outcome: Outcome = "ok",
        reason: str = "",
        pauses_s: Sequence[float] = (),
        stream: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Define what the agent does in an attempt of a step (`impl`, or `build::impl[item-2]` for a plan item).

        `writes` and `deletes` change files of the worktree, and `out` writes files to `.gump/out`. `agent` limits the
        answer to one agent. With `exit_code=None`, the agent runs until it is stopped. `stream` replaces the events
        that the other arguments describe.
        """
        name, _, rest = step.partition("[")
        events = stream or neutral.conversation(
            says,
            model="claude-haiku-4-5",
            session_id=session_id or f"{step}-{attempt}",
            writes=[*(writes or {})],
            turns=turns,
            tokens=tokens,
            cost_usd=cost_usd,
            outcome=outcome,
            reason=reason,
        )
        write_take(
            self.cassette,
            step=f"{name}[{rest}" if rest else name,
            item=rest.rstrip("]").rpartition("--")[2] or None,
            attempt=attempt,
            agent=agent,
            stream=events,
            pauses_s=pauses_s,
            exit_code=exit_code,
            files=writes,
            delete=deletes,
            out=out,
        )

    def plan(self, step: str, *items: str | Mapping[str, Any], attempt: int = 1) -> None:
        """Define the plan of a plan step: a name or a dict for each item."""
        objects = [
            {"name": item, "description": f"do {item}"} if isinstance(item, str) else dict(item) for item in items
        ]
        self.answer(step, attempt=attempt, out={"plan.json": json.dumps(objects)})

    def review(self, step: str, *, passes: bool, comment: str = "as it should be", attempt: int = 1) -> None:
        """Define the verdict of a review step."""
        self.answer(step, attempt=attempt, out={"review.json": json.dumps({"pass": passes, "comment": comment})})

    # -- runs ----------------------------------------------------------------------------------------------------

    def run(self, workflow: str, *options: str, spec: str = "spec.md") -> pytest.RunResult:
        """Run `pytest --gump-workflow=... spec.md` in this process."""
        return self.pytester.runpytest_inprocess(
            f"--gump-workflow={workflow}", f"--gump-replay={self.cassette}", *options, spec
        )

    def run_apart(self, workflow: str, *options: str, spec: str = "spec.md") -> pytest.RunResult:
        """Like `run`, but in a subprocess."""
        return self.pytester.runpytest_subprocess(
            f"--gump-workflow={workflow}", f"--gump-replay={self.cassette}", *options, spec
        )

    def folders(self) -> list[RunFolder]:
        """Folders of all runs, newest first."""
        return list(run_folders(self.path))

    def _newest(self) -> StoredRun:
        return StoredRun.read(self.folders()[0], results=False, ours=True)

    def ledger(self) -> list[Event]:
        """The events of the newest run."""
        return [*self._newest().events]

    def record(self) -> RunRecord:
        """The newest run as a record."""
        return self._newest().record

    def prompt(self, step: str, attempt: int = 1) -> str:
        """The prompt of an attempt of the newest run."""
        folder = self.folders()[0]
        for made in self.record().attempts:
            if (made.step, made.attempt) == (step, attempt) and made.folder is not None:
                return (folder.attempts / made.folder / "prompt.md").read_text(encoding="utf-8")
        pytest.fail(f"no attempt {attempt} of {step} in {folder.run_id}")

    def tree(self, ref: str) -> dict[str, str]:
        """Stripped contents of the files of a commit, by path."""
        from git import Blob

        files = (entry for entry in self.repo.commit(ref).tree.traverse() if isinstance(entry, Blob))
        return {str(file.path): file.data_stream.read().decode("utf-8", "replace").strip() for file in files}


@pytest.fixture
def gump_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[GumpProject]:
    """A temporary repository to run workflows in. Worktrees are in the test's temporary folder too."""
    cache = pytester.path.parent / f"{pytester.path.name}-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("HOME", str(cache / "home"))
    (cache / "home").mkdir(parents=True)
    project = GumpProject(pytester)
    yield project
    if "repo" in vars(project):
        project.repo.close()  # ends its git process
