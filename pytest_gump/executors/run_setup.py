"""What a process has to know of a run to carry out its orders, and the tools that it makes of that."""

from __future__ import annotations

import socket
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gump.agents import prices
from pytest_gump.agents.cassettes.cassette import Cassette
from pytest_gump.engine.attempt.tools import Tools
from pytest_gump.executors.remote_mirror import RemoteHome
from pytest_gump.gates.tools.interpreter import Interpreter
from pytest_gump.jobs.agents import CassetteReplay, find_agent
from pytest_gump.jobs.hooks import hook_answers
from pytest_gump.settings.settings import Settings
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    import pytest

    from pytest_gump.agents.base import Agent
    from pytest_gump.jobs.job import Job
    from pytest_gump.system.processes.process import Supervisor


@dataclass(frozen=True, slots=True)
class RunSetup:
    """Built-in types only, all the way down: it crosses to workers."""

    run_id: str
    project: str
    worktrees: str
    scratch: str
    spec: str
    """For the hooks of its folder's conftest."""
    settings: dict[str, Any]
    replay: tuple[str, bool, float] | None
    """Folder of the cassette, whether it is lenient, the delay."""
    python: str
    """The interpreter that gate commands of this run name."""
    machine: str
    """Host name of the controller."""
    object_format: str
    interpreter: dict[str, Any] | None
    """The Python of gates as it was when the run began, for workers of this machine."""
    shows_tools: bool
    """Whether somebody wants to see tool calls as they come."""

    @classmethod
    def from_job(cls, run_id: str, job: Job, tools: Tools, *, shows_tools: bool) -> RunSetup:
        replay = job.replay
        return cls(
            run_id=run_id,
            project=str(tools.repository.root),
            worktrees=str(tools.slots.root),
            scratch=str(tools.scratch),
            spec=str(job.spec),
            settings=asdict(tools.settings),
            python=sys.executable,
            machine=socket.gethostname(),
            object_format=tools.repository.layout.get("extensions.objectformat", "sha1"),
            interpreter=None if tools.interpreter is None else asdict(tools.interpreter),
            replay=None if replay is None else (str(replay.cassette.path), replay.lenient, replay.delay),
            shows_tools=shows_tools,
        )

    def remote_home(self) -> RemoteHome:
        """The folder of the run on a worker that shares no disk with the controller."""
        return RemoteHome(
            run_id=self.run_id, machine=self.machine, project=self.project,
            python=self.python, object_format=self.object_format,
        )  # fmt: skip

    def tools(self, session: pytest.Session, supervisor: Supervisor, home: RemoteHome | None = None) -> Tools:
        """The tools of a worker: what conftests add is asked in its own session; `home` if it shares no disk.

        Raises:
            GumpError: the repository or the cassette cannot be opened here.
        """
        settings = Settings(**self.settings)
        prices.use(settings.own_prices)
        if home is None:
            repository = Repository.open(Path(self.project)).preload()
            slots_root, scratch, spec = Path(self.worktrees), Path(self.scratch), Path(self.spec)
        else:
            repository, settings = home.receive(b"", ()), replace(settings, worktrees=None, copy=())
            slots_root, scratch, spec = home.slots_root, home.scratch, session.config.rootpath
        answers = hook_answers(session)
        agents = {**settings.agent_names, **answers(spec, "pytest_gump_agents")}
        replay = None
        if self.replay is not None:
            folder, lenient, delay = self.replay
            replay = CassetteReplay(Cassette.open(Path(folder)), lenient=lenient, delay=delay)

        def agent(name: str) -> Agent:
            return find_agent(name, agents, replay)

        return Tools(
            repository=repository,
            slots=Slots(repository, slots_root, keep=settings.keep_ignored, shared=True),
            supervisor=supervisor,
            agents=agent,
            gates=answers(spec, "pytest_gump_gates"),
            settings=settings,
            scratch=scratch,
            interpreter=self._interpreter(is_away=home is not None),
        )

    def _interpreter(self, *, is_away: bool) -> Interpreter | None:
        """The controller's state at the start of the run; a worker on another machine looks for itself."""
        if self.interpreter is None:
            return None
        return Interpreter.now(self.interpreter["tools"]) if is_away else Interpreter.from_wire(self.interpreter)
