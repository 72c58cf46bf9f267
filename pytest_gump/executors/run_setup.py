"""The setup of a run: the data that a worker needs to carry out its orders, and the tools created from it."""

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
    """The setup of one run, sent to workers. It contains only built-in types, including nested values."""

    run_id: str
    project: str
    worktrees: str
    scratch: str
    spec: str
    """Path of the spec. Selects the conftests whose hooks are called."""
    settings: dict[str, Any]
    replay: tuple[str, bool, float] | None
    """Folder of the cassette, True if it is lenient, and the delay factor."""
    python: str
    """The controller's interpreter, as it is written in gate commands."""
    machine: str
    """Host name of the controller."""
    object_format: str
    interpreter: dict[str, Any] | None
    """The state of the gates' interpreter at the start of the run, for workers on the same machine."""
    shows_tools: bool
    """True if workers send tool calls while an attempt runs."""

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
        """Return the folder of the run on a worker that shares no disk with the controller."""
        return RemoteHome(
            run_id=self.run_id, machine=self.machine, project=self.project,
            python=self.python, object_format=self.object_format,
        )  # fmt: skip

    def tools(self, session: pytest.Session, supervisor: Supervisor, home: RemoteHome | None = None) -> Tools:
        """Return the tools of a worker.

        Args:
            session: The worker's session. Its conftests provide agents and gates.
            supervisor: Starts the child processes of orders.
            home: The folder of the run, if the worker shares no disk with the controller.

        Raises:
            GumpError: The repository or the cassette cannot be opened here.
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
        """Return the interpreter's state at the start of the run; on another machine, the current state there."""
        if self.interpreter is None:
            return None
        return Interpreter.now(self.interpreter["tools"]) if is_away else Interpreter.from_wire(self.interpreter)
