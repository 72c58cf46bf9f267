"""Starting a run: repository, base, settings and gate commands are settled before the first agent, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from pytest_gump.agents import prices
from pytest_gump.engine.attempt.attempt import execute
from pytest_gump.engine.attempt.recovery import attempt_folder, fresh_scratch, recover, remove_scratch, run_scratch
from pytest_gump.engine.attempt.tools import Tools
from pytest_gump.engine.checks.judgement import REASON_CHARS
from pytest_gump.engine.record.run_folder import RunFolder, new_run_id
from pytest_gump.engine.reporting.dry_run import describe
from pytest_gump.engine.run.order_builder import RunInputs
from pytest_gump.engine.run.run import Run
from pytest_gump.errors import AgentError, ConfigError, GumpError, RunError, WorktreeError
from pytest_gump.executors.run_setup import RunSetup
from pytest_gump.gates.custom import NO_ASSERTIONS
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.gates.tools.interpreter import Interpreter
from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
from pytest_gump.jobs.base import Base, find_base, refuse_changes
from pytest_gump.jobs.files import project_root
from pytest_gump.jobs.header import run_header, stored_options
from pytest_gump.jobs.quota_option import settle_on_quota
from pytest_gump.jobs.record_option import record_into
from pytest_gump.jobs.session_settings import session_settings
from pytest_gump.reporters.live import TOLD_TOOLS
from pytest_gump.system.git.checkout_watch import checkout_state
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.processes.process import Supervisor
from pytest_gump.system.processes.session_clock import CLOCK
from pytest_gump.system.worktrees.pool import SlotPool
from pytest_gump.system.worktrees.slots import Slots
from pytest_gump.text import listed, one_line
from pytest_gump.workflow.edit import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from pytest_gump.engine.attempt.tools import Heard
    from pytest_gump.jobs.job import Job
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.checkout_watch import CheckoutState


class Launch:
    """One job, ready to start: everything that could refuse has agreed."""

    def __init__(
        self, config: pytest.Config, job: Job, *, repository: Repository, base: Base, settings: Settings, run_id: str
    ) -> None:
        self._config = config
        self._job = job
        self._repository = repository
        self._base = base
        self._settings = settings
        self._run_id = run_id
        self._tools: Tools | None = None
        self._pool: SlotPool | None = None
        self.inputs = self._inputs()

    @classmethod
    def prepare(cls, config: pytest.Config, job: Job) -> Launch:
        """Check repository, checkout, base, settings and agents.

        Raises:
            GumpError: one of them does not allow a run. Nothing was written but git objects and, with
                --gump-dirty=include, the ref that keeps the uncommitted changes.
        """
        repository, settings = cls.check(config, job)
        run_id, base = cls._beginning(config, job, repository)
        settings = record_into(config, settings, repository.root, run_id)
        return cls(config, job, repository=repository, base=base, settings=settings, run_id=run_id)

    @classmethod
    def _beginning(cls, config: pytest.Config, job: Job, repository: Repository) -> tuple[str, Base]:
        run_id = fresh_run_id(job)
        return run_id, find_base(config, repository, run_id)

    @staticmethod
    def check(config: pytest.Config, job: Job) -> tuple[Repository, Settings]:
        """Refuse what can be refused while nothing was written or started.

        Raises:
            GumpError: repository, checkout, settings or agents do not allow a run.
        """
        refuse_platform()
        repository = Repository.open(project_root(config))
        settings = session_settings(config, repository.root)
        prices.use(settings.own_prices)
        settings = settle_on_quota(config, settings, job)
        missing = list(job.missing_agents())
        if missing:
            raise AgentError("\n".join(missing))
        refuse_without_assertions(job)
        if settings.unknown_cost == "refuse":
            job.refuse_unknown_cost(*settings.failover)
        is_new = job.previous is None and config.getoption("gump_base") is None
        if is_new and config.getoption("gump_dirty") != "include":
            refuse_changes(repository)
        return repository, settings

    def _inputs(self) -> RunInputs:
        job = self._job
        spec_name = os.path.relpath(job.spec, self._repository.root)
        return RunInputs(
            run_id=self._run_id,
            workflow=job.workflow,
            workflow_text=job.loaded.text,
            spec_name=job.spec.name if spec_name.startswith("..") else spec_name,
            spec_bytes=job.spec_bytes,
            base=self._base.commit,
            commands=tuple(sorted(self._commands().items())),
            settings=self._settings,
            cli_of=job.cli_of,
            inputs=job.inputs,
            describe_agent=job.describe_agent,
        )

    @property
    def folder(self) -> str:
        """Start folder of the run's first session, relative to the project; gates run in the package around it."""
        if self._job.previous is not None:
            folder = self._job.previous.header.get("folder")
            return folder if isinstance(folder, str) else ""
        return start_folder(self._repository.root, self._config.invocation_params.dir)

    def _commands(self) -> dict[str, str]:
        return gate_commands(self._repository, self._base.commit, self._settings, self.folder)

    @contextmanager
    def start(self, finished: Callable[[Run], None], *, is_here: bool) -> Iterator[Run]:
        """The run, from its first ledger event to its last. Its worktrees stay, for the next run to use.

        `is_here`: this process carries out its orders.

        On Ctrl-C or an error the ledger is closed with `cancelled` and the exception goes on.
        """
        root = Slots.default_root(self._repository, self._settings.worktrees)
        slots = Slots(self._repository, root, keep=self._settings.keep_ignored)
        supervised = Supervisor() if is_here else closing(Supervisor())  # that one starts when it is first used
        scratch = root / f"{self._run_id}.scratch"
        with supervised as supervisor, closing(SlotPool(slots)) as pool, ExitStack() as owned:
            self._pool = pool
            self._tools = Tools(
                repository=self._repository,
                slots=slots,
                supervisor=supervisor,
                agents=self._job.agent,
                gates=self._job.gates,
                settings=self._settings,
                scratch=scratch,
                interpreter=Interpreter.now(command for _, command in self.inputs.commands),
            )
            run = self._open(self._tools, pool, owned)
            checkout = checkout_state(self._repository)
            try:
                yield run
            except BaseException as error:
                run.finish(
                    cancelled=True, reason=_interruption(error), checkout_changed=self._changed_in_checkout(checkout)
                )
                raise
            else:
                run.finish(checkout_changed=self._changed_in_checkout(checkout))
            finally:
                remove_scratch(self._tools)
                finished(run)

    def _changed_in_checkout(self, before: CheckoutState) -> list[str]:
        """What merely happened there is no failure, be it the user or the agent that did it."""
        record = self._settings.record
        ours = record and os.path.relpath(record, self._repository.root)
        try:
            changed = before.changed(checkout_state(self._repository))
        except WorktreeError as error:
            return [str(error.args[0])]
        found = {name: how for name, how in changed.items() if not (ours and name.startswith(f"{ours}/"))}
        return [name if how == "changed" else f"{name} ({how})" for name, how in found.items()]

    def _open(self, tools: Tools, pool: SlotPool, owned: ExitStack) -> Run:
        """Make the run's folder, its ledger, its branch and its scratch folder: all of them, or none. The folder is
        ours until `owned` is closed.

        Raises:
            GumpError: one of them cannot be written.
        """
        folder = RunFolder.create(self._repository.root, self._run_id)
        try:
            owned.enter_context(folder.owned())
            run_scratch(tools)
            return self._begin(folder, pool)
        except BaseException as error:
            remove_scratch(tools)
            shutil.rmtree(folder.path, ignore_errors=True)
            if isinstance(error, OSError):
                raise RunError(f"cannot write {error.filename}: {error.strerror}") from error
            raise

    def _begin(self, folder: RunFolder, pool: SlotPool) -> Run:
        run = Run(self.inputs, folder, self._repository, CLOCK.now, pool=pool)
        run.start(header=self._header(), **this_process())
        return run

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def place_note(self) -> str | None:
        """What there is to say about where the worktrees lie; once the run is started."""
        root, checkout = self._of_started_run().slots.root, os.path.realpath(self._repository.root)
        inside = Path(os.path.realpath(root)).is_relative_to(checkout)
        return f"note: worktrees lie inside the checkout: {os.path.relpath(root, checkout)}" if inside else None

    def run_setup(self) -> RunSetup:
        """What workers need to know of the run; once it is started."""
        tools = self._of_started_run()
        tells_tools = self._config.get_verbosity() >= TOLD_TOOLS
        run_setup = RunSetup.of(self._run_id, self._job, tools)
        return replace(run_setup, tells_tools=tells_tools)

    def recover(self, ticket: int, order: Order, result: AttemptResult, began: float) -> AttemptResult:
        """Complete the result of an attempt that was broken off by what it left on disk."""
        tools = self._of_started_run()
        folder = attempt_folder(tools.scratch, ticket)
        return result if folder is None else recover(order, tools, result, folder, began)

    def doubt(self, slot: str) -> None:
        """Tell the next user of a worktree that something of ours may still live in it."""
        if self._pool is not None:
            self._pool.doubt(slot)

    def _of_started_run(self) -> Tools:
        assert self._tools is not None  # noqa: S101 - orders come from a started run
        return self._tools

    def carry_out(
        self, ticket: int, order: Order, listen: Callable[[Heard], None], stop_asked: Callable[[], str | None]
    ) -> AttemptResult:
        """Carry out an order in this process."""
        tools = self._of_started_run()
        scratch = fresh_scratch(tools, ticket)
        return execute(order, replace(tools, scratch=scratch, listen=listen, stop_asked=stop_asked))

    def _header(self) -> dict[str, Any]:
        spec_name = self.inputs.spec_name
        return run_header(
            self._config, self._job, self._repository, self._base,
            run_id=self._run_id, spec_name=spec_name, folder=self.folder,
        )  # fmt: skip

    def _options(self) -> dict[str, Any]:
        """What a run that is taken up needs to know of its command line."""
        return stored_options(self._config, self._job, self._repository.root)


def fresh_run_id(job: Job) -> str:
    return new_run_id(job.workflow.name, now=datetime.now(UTC), chance=secrets.token_hex(2))


def this_process() -> dict[str, Any]:
    """What tells whether the process that carries a run still lives."""
    process = psutil.Process()
    return {"pid": process.pid, "pid_created": process.create_time()}


def dry_run(config: pytest.Config, job: Job, columns: int) -> list[str]:
    """What the job would do. Starts nothing, writes nothing, and needs neither agents nor a clean checkout."""
    root = project_root(config)
    settings = session_settings(config, root)
    commands = settings.commands
    if (root / ".git").exists():
        repository = Repository.open(root)
        ref = config.getoption("gump_base")
        commit = repository.resolve(ref) if ref else repository.head()
        commands = gate_commands(repository, commit, settings, start_folder(root, config.invocation_params.dir))
    loaded = job.loaded
    return describe(
        job.workflow,
        source=loaded.source,
        spec_name=os.path.relpath(job.spec, root),
        commands=commands,
        lines=loaded.lines,
        columns=columns,
    )


def refuse_platform() -> None:
    """Say at once that Windows is not supported.

    Raises:
        ConfigError: this is Windows.
    """
    if sys.platform == "win32":
        raise ConfigError("pytest-gump runs on Linux and macOS only", hint="use WSL on Windows")


def refuse_without_assertions(job: Job) -> None:
    """Refuse a workflow whose gates are functions that assert, in a Python that leaves assertions out.

    Raises:
        ConfigError: `-O` or PYTHONOPTIMIZE, and the workflow names a gate of the project.
    """
    own = [gate.name for step in walk(job.workflow.steps) for gate in step.gate if gate.name not in BUILTIN]
    if sys.flags.optimize and own:
        names = listed([*dict.fromkeys(own)])
        raise ConfigError(f"{NO_ASSERTIONS}: {names}", hint="start pytest without -O, and unset PYTHONOPTIMIZE")


def _interruption(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, BrokenPipeError):
        return "stopped: nobody reads the output any more"
    if isinstance(error, GumpError):
        return f"stopped: {one_line(str(error.args[0]), REASON_CHARS)}"
    return f"stopped: {str(error) or type(error).__name__}"
