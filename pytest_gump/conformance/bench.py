"""The environment of a scenario: a scratch project, a home folder, and the code that runs an attempt."""

from __future__ import annotations

import contextlib
import os
import subprocess  # the bench runs git as a user does
import tempfile
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.agents.registry import resolve
from pytest_gump.conformance.model.script import script
from pytest_gump.conformance.model.server import ModelServer
from pytest_gump.conformance.subjects import KEY, Subject
from pytest_gump.engine.attempt.attempt import execute
from pytest_gump.engine.attempt.tools import GateStarted, Tools
from pytest_gump.order import Limits, Order, Section
from pytest_gump.settings.settings import Settings
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.processes.process import Supervisor
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_gump.agents.base import Event
    from pytest_gump.conformance.model.script import Answer, Fault, Script
    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.order import AttemptResult

TIME_LIMIT_S: Final = 120.0
"""Limit of an attempt that ends by itself. On an idle machine, each takes less than a quarter of it."""

FILES: Final[Mapping[str, str]] = {
    "README.md": "# A project\n",
    ".gitignore": "*.log\n",
    "copy.sh": "cat greeting.txt > copied.txt && cat copied.txt\n",
    "env.sh": "env > env.txt\n",
    "wait.sh": "echo $$ > started.log\nsleep 3600\necho waited\n",
    "flood.sh": 'i=0; while [ $i -lt 25000 ]; do echo "line $i'
    + " of much output that nobody needs" * 2
    + '"; i=$((i+1)); done\n',
}
COMMANDS: Final = (
    ("test", "sh copy.sh"),
    ("lint", "sh wait.sh"),
    ("compile", "sh flood.sh"),
    ("environment", "sh env.sh"),
)
"""Commands that the agent may run without a permission prompt."""

SLOT: Final = "slot"
SHARED: Final = ("COPILOT_CACHE_HOME", "NODE_COMPILE_CACHE")
"""Variables for folders that CLIs fill at their first start. If they are set, all scenarios share these folders."""
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ", *SHARED)
_USER: Final = ("-c", "user.name=A User", "-c", "user.email=user@example.org")


class Fails(Exception):  # noqa: N818 - reads as a statement: the scenario fails
    """The scenario fails; the message says in one line what was expected but not observed."""


@dataclass(slots=True)
class Bench:
    """One scenario of one CLI; all files are below `folder`."""

    subject: Subject
    folder: Path
    patience_s: float = 15.0
    """How long a CLI may retry requests that cannot succeed, in seconds."""
    events: list[tuple[float, Event]] = field(default_factory=list)
    """Events of the reader, each with its time on the monotonic clock."""
    server: ModelServer = field(init=False)
    base: str = field(init=False)

    @property
    def project(self) -> Path:
        return self.folder / "work" / "project"

    @property
    def slots(self) -> Path:
        return self.folder / "slots"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def worktree(self) -> Path:
        return self.slots / SLOT

    @property
    def outside(self) -> Path:
        """A folder of the user outside the project."""
        return self.home / "documents"

    def prepare(self) -> None:
        for folder in (self.project, self.slots, self.outside, self.folder / "attempts", self.folder / "tmp"):
            folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.base = self.commit(FILES)

    def commit(self, files: Mapping[str, str]) -> str:
        for name, content in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        self.git("add", "--all", "--force")
        self.git(*_USER, "commit", "--quiet", "--message", "change")
        self.base = self.git("rev-parse", "HEAD").strip()
        return self.base

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.project, capture_output=True, text=True, check=True)
        return done.stdout

    def file(self, result: AttemptResult, name: str) -> str | None:
        """Return the text of a file in the snapshot of an attempt; None if it is not there."""
        repository = Repository.open(self.project)
        content = repository.read_file(str(result.snapshot), name)
        return None if content is None else content.decode("utf-8", "replace")

    def _on_event(self, event: AttemptEvent) -> None:
        if event is not None and not isinstance(event, GateStarted):
            self.events.append((time.monotonic(), event))

    # -- attempts --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def serving(
        self, script: Script, *, url: str | None = None, without: tuple[str, ...] = ()
    ) -> Iterator[ModelServer]:
        """Serve the script, in an environment without variables of the user."""
        with ModelServer(self.subject.cli, script, self.slots, secrets=(KEY,)) as self.server:
            environment = self._environment(url or self.server.url)
            tempfile.gettempdir()  # it caches the folder: do so before TMPDIR is that of the bench
            before = dict(os.environ)
            os.environ.clear()
            os.environ.update({name: value for name, value in environment.items() if name not in without})
            try:
                yield self.server
            finally:
                os.environ.clear()
                os.environ.update(before)

    def _environment(self, url: str) -> dict[str, str]:
        trap = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.server.url)
        here = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        folders = {"HOME": str(self.home), "TMPDIR": str(self.folder / "tmp")}
        return {"TERM": "xterm", **kept, **trap, **here, **folders, **self.subject.install(self.home, url)}

    def order(self, **changes: Any) -> Order:
        order = Order(
            run_id="conformance",
            step="build",
            attempt=1,
            mode="diff",
            agent=self.subject.agent,
            base=self.base,
            step_base=self.base,
            run_base=self.base,
            slot=SLOT,
            head=(Section("Your task", "Do what the script says."),),
            commands=COMMANDS,
            limits=Limits(max_time_s=TIME_LIMIT_S),
        )
        return replace(order, **changes)

    def play(
        self, *answers: Answer, endless: bool = False, fault: Fault | None = None, **changes: Any
    ) -> AttemptResult:
        """Run one attempt with these answers. `server` keeps the requests."""
        with self.serving(script(*answers, endless=endless, fault=fault)):
            return self.attempt(**changes)

    def attempt(self, **changes: Any) -> AttemptResult:
        """Run one attempt as a workflow does; `changes` are fields of the order."""
        repository = Repository.open(self.project)
        with Supervisor() as supervisor:
            tools = Tools(
                repository=repository,
                slots=Slots(repository, self.slots),
                supervisor=supervisor,
                agents=resolve,
                gates={},
                settings=Settings(agent_env=SHARED),
                scratch=self.folder / "attempts",
                listen=self._on_event,
            )
            return execute(self.order(**changes), tools)
