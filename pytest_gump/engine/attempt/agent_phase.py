"""Run the agent of one attempt: read its stream, watch its guards, and classify how it ended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_gump.agents.base import Note, Task, ToolCall, ToolResult, Turn, has_ended
from pytest_gump.agents.streams.login_error import with_login_error
from pytest_gump.engine.attempt.handover import FORMER_VERDICT, HANDOVER_FILES
from pytest_gump.engine.attempt.permitted import permitted
from pytest_gump.engine.attempt.prompt import prompt_key
from pytest_gump.engine.attempt.tools import SHOWN
from pytest_gump.engine.checks import withheld
from pytest_gump.engine.checks.bounds import place_in
from pytest_gump.engine.checks.command_end import left_behind, too_much
from pytest_gump.engine.checks.guard import Breach, GuardWatch, shared_breach
from pytest_gump.engine.checks.tool_watch import ToolWatch
from pytest_gump.engine.checks.trespass import Trespass
from pytest_gump.gates.tools.environment import gate_environment, own_python
from pytest_gump.order import ToolUse
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.output import bounded_output
from pytest_gump.system.processes.process import Request
from pytest_gump.system.worktrees.folder import HANDOVER
from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pytest_gump.agents.base import Agent, Ending, Event, StreamReader
    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.attempt.workplace import Workplace
    from pytest_gump.order import Mode, Order
    from pytest_gump.system.processes.process import Exit
    from pytest_gump.workflow.model import OutputMode

STREAM = "stream.ndjson"
STDERR = "stderr.txt"
STDERR_CHARS = 20_000
HANGS = "it hangs after its final event"
TOOL_EVENTS = (Turn, ToolCall, ToolResult)
TIME_GUARDS = frozenset({"max_time", "silence"})


@dataclass(frozen=True, slots=True)
class AgentRun:
    ending: Ending
    breach: Breach | None = None
    trespass: str | None = None
    """Path in the user's checkout that a tool call wrote."""
    cancelled: bool = False
    """True if Ctrl-C came while the agent worked."""
    duration_s: float = 0.0
    tool_use: ToolUse = field(default_factory=ToolUse)
    notes: tuple[str, ...] = ()
    finished: Exit | None = None
    """How the process ended; None if Ctrl-C ended it."""
    pauses_s: tuple[float, ...] = ()
    """Pause before each printed line and before the end of the process; empty unless the attempt is recorded."""


def _agent_mode(mode: Mode) -> OutputMode:
    return "diff" if mode == "gate" or mode == "merge" or mode == "approve" else mode  # noqa: PLR1714 - for mypy


def make_task(order: Order, tools: Tools, worktree: Path, prompt: str, folder: Path | None = None) -> Task:
    """Return the task of an attempt. `folder` is the attempt's scratch folder."""
    limits = order.limits
    return Task(
        step=order.step,
        item=order.item.slug if order.item is not None else None,
        attempt=order.attempt,
        agent=order.agent or "",
        prompt=prompt,
        worktree=worktree,
        mode=_agent_mode(order.mode),
        session=order.session,
        fork=order.fork,
        max_turns=limits.max_turns,
        max_budget=limits.max_budget,
        permissions=permitted(order.mode, order.commands, order.gates, tools.settings.allow_commands),
        folder=folder,
        checkout=tools.repository.root,
        prompt_key=prompt_key(order),
    )


def run_agent(order: Order, tools: Tools, workplace: Workplace, agent: Agent, task: Task) -> AgentRun:
    """Start the agent and wait until its whole process tree has ended.

    Ctrl-C stops the process tree. The result is then `cancelled` and holds the work and the cost so far.

    Raises:
        AgentError: The adapter cannot build a command.
    """
    command = agent.command(task)
    for name, text in command.files.items():
        workplace.files.write(name, text.encode())
    names = (*command.env_names, *tools.settings.agent_env)
    # Includes the gates' variables, so that tests run by the agent import from the worktree, like those of the gates.
    # With the gates' Python on PATH, `python` and `pytest` mean the same for the agent as for the gates.
    added = {**gate_environment(workplace.worktree), **own_python(), **command.env, **workplace.environment}
    environment = child_environment(names, added)
    listener = _Listener(order, tools, workplace, agent.reader(task), agent.cli, environment)
    request = Request(
        argv=command.argv,
        cwd=workplace.worktree,
        folder=workplace.enter(),
        env=environment,
        mark=workplace.mark,
        stdout=workplace.folder / STREAM,
        stderr=workplace.folder / STDERR,
        stdin=command.stdin,
        max_bytes=tools.settings.stream_bytes,
        max_lines=tools.settings.stream_lines,
    )
    began = tools.clock()
    finished: Exit | None = None
    try:
        finished = tools.supervisor.run(
            request,
            on_line=listener.line,
            on_tick=listener.tick,
            on_oversize=listener.oversize,
            grace_s=tools.settings.stop_grace_s,
        )
    except KeyboardInterrupt:
        listener.notes.append("interrupted while the agent worked")
    ended = listener.end(finished, workplace.folder / STDERR)
    ended = replace(ended, cancelled=finished is None, duration_s=tools.clock() - began, finished=finished)
    return replace(ended, pauses_s=_pauses(began, listener.times, tools.clock())) if tools.settings.record else ended


def _pauses(began: float, times: list[float], ended: float) -> tuple[float, ...]:
    return tuple(after - before for before, after in pairwise((began, *times, ended)))


@dataclass(slots=True)
class _Listener:
    """Passes the events of the stream to the guards, the live display and the bounds checks."""

    order: Order
    tools: Tools
    workplace: Workplace
    reader: StreamReader
    cli: str
    passed: Collection[str]
    """Names of the environment variables that the agent gets."""
    breach: Breach | None = None
    """The first breach; later ones do not replace it."""
    trespass: Trespass = field(init=False)
    notes: list[str] = field(default_factory=list)
    guards: GuardWatch = field(init=False)
    calls: ToolWatch = field(init=False)
    times: list[float] = field(default_factory=list)
    """Arrival time of each line; empty unless the attempt is recorded."""

    def __post_init__(self) -> None:
        self.trespass = Trespass(self.workplace.worktree, self.tools.repository.root)
        self.guards = GuardWatch(self.order.limits, may_write=self._is_handed_over, clock=self.tools.clock)
        self.calls = ToolWatch(is_handed_over=self._is_handed_over, clock=self.tools.clock)

    def line(self, line: bytes) -> str | None:
        self._note_time()
        only_notes = True
        event = None
        for event in self.reader.feed(line):
            only_notes = only_notes and isinstance(event, Note)
            if isinstance(event, SHOWN):
                self.tools.listen(event)
            self._watch(event)
        if event is None or not only_notes:
            self.guards.on_output()  # a CLI that only reports that it waits for the network counts as silent
        return self._stop_reason()

    def tick(self) -> str | None:
        self.tools.listen(None)
        breach = self.breach or self.guards.tick() or self._shared_breach()
        if has_ended(self.reader):  # the work is done: a time limit only stops a CLI that hangs
            late = breach is not None and breach.guard in TIME_GUARDS and breach is not self.breach
            if late or self.guards.silent_s >= self.tools.settings.end_grace_s:
                return HANGS
        self.breach = breach
        return self._stop_reason()

    def oversize(self, size: int) -> None:
        self._note_time()
        self.guards.on_output()
        self.notes.append(f"a line of {size} bytes in the agent's stream is stored, but not read")

    def end(self, finished: Exit | None, stderr: Path) -> AgentRun:
        text, longest_silence_s = "", self.guards.longest_silence_s
        with suppress(OSError):  # an agent can remove its stderr file
            text = bounded_output(stderr, STDERR_CHARS)
        hangs = finished is not None and finished.stopped == HANGS
        stopped = not hangs and (finished is None or finished.stopped is not None)
        ending = self.reader.finish(exit_code=0 if hangs else _exit_code(finished), stderr=text, stopped=stopped)
        broken = None if finished is None else finished.error or too_much(finished, self.tools.settings)
        if broken is not None:
            ending = replace(ending, outcome="agent_error", reason=broken)
        ending = self._with_credible_usage(ending)
        ending = with_login_error(ending, cli=self.cli, agent=self.order.agent or "")
        if hangs:
            self.notes.append("the CLI did not exit after its final event and was ended; its result counts")
        if finished is not None:
            self.notes += left_behind(finished, "the agent")
        if ending.outcome == "agent_error":
            self._name_withheld(f"{ending.reason}\n{ending.message}\n{text}")
        return AgentRun(
            ending=ending,
            breach=self._breach(ending),
            trespass=self.trespass.written(),
            tool_use=self.calls.use(longest_silence_s),
            notes=(*self.notes, *self.trespass.notes(), *self.calls.notes(), *ending.notes),
        )

    def _breach(self, ending: Ending) -> Breach | None:
        """Return the breach; none for a CLI that was silent because it waits for a usage limit."""
        is_waiting = self.breach is not None and self.breach.guard == "silence" and ending.outcome == "quota"
        breach = None if is_waiting else self.breach
        return breach or self.guards.spent(ending.usage) or self.guards.limit_of_cli(ending)

    def _with_credible_usage(self, ending: Ending) -> Ending:
        reported, usage = ending.usage, ending.usage.recorded
        if reported.cost_usd is not None and usage.cost_usd is None:
            answers = plural(usage.turns, "answer")
            self.notes.append(f"the cost is unknown: {usage.tokens.total} tokens cannot be those of {answers}")
        is_limited = self.order.limits.max_budget is not None and self.tools.settings.unknown_cost == "refuse"
        if is_limited and usage.cost_usd is None and not usage.is_empty:
            self.notes.append("max_budget does not include this attempt, because its cost is unknown")
        return replace(ending, usage=usage)

    def _name_withheld(self, output: str) -> None:
        if names := withheld.likely(self.passed, output):
            self.notes.append(withheld.hint(names, "agents", "gump_agent_env"))

    def _note_time(self) -> None:
        if self.tools.settings.record is not None:
            self.times.append(self.tools.clock())

    def _watch(self, event: Event) -> None:
        if isinstance(event, TOOL_EVENTS):
            self.trespass.feed(event)
            self.calls.feed(event)
        self.breach = self.breach or self.guards.feed(event)

    def _stop_reason(self) -> str | None:
        if self.trespass.written() is not None:
            return "a write into the user's checkout"
        return self.breach.guard if self.breach is not None else None

    def _shared_breach(self) -> Breach | None:
        reason = self.tools.stop_asked()
        return None if reason is None else shared_breach(reason)

    def _is_handed_over(self, path: str) -> bool:
        mode = self.order.mode
        names = (HANDOVER_FILES.get(mode), FORMER_VERDICT if mode == "review" else None)
        return place_in(self.workplace.worktree, path) in {f"{HANDOVER}/{name}" for name in names if name is not None}


def _exit_code(finished: Exit | None) -> int | None:
    if finished is None or finished.signal is None:
        return None if finished is None else finished.exit_code
    return -finished.signal
