"""Carry out one attempt: prepare the worktree, run the agent, take a snapshot, run the gates.

`execute` does not decide what runs next, does not read the ledger, and works without pytest. It writes result.json into
a new folder below `Tools.scratch`, and these files if the attempt gets that far:
    prompt.md  stream.ndjson  stderr.txt  lost-session/  diff.patch  step.patch  context/  out/  gates/<n>-<name>.txt
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.engine.attempt import lost_session
from pytest_gump.engine.attempt.agent_phase import AgentRun, make_task, run_agent
from pytest_gump.engine.attempt.context_phase import read_material
from pytest_gump.engine.attempt.facts import Facts, masked_result, result_of, with_agent_part, write_result
from pytest_gump.engine.attempt.gate_phase import GateInput, run_step_gates
from pytest_gump.engine.attempt.handover import handed_over, read_handover
from pytest_gump.engine.attempt.judge import PASSED, Judgement, judge_gates, judge_no_change, judge_work
from pytest_gump.engine.attempt.named_changes import interpreter_changes, named_changes
from pytest_gump.engine.attempt.prompt import compose
from pytest_gump.engine.attempt.recovery import recover
from pytest_gump.engine.attempt.setup_phase import Setup
from pytest_gump.engine.attempt.snapshots import Snapshots, attempt_ref
from pytest_gump.engine.attempt.tools import masked_event
from pytest_gump.engine.attempt.usable_session import usable
from pytest_gump.engine.attempt.workplace import make_workplace
from pytest_gump.engine.checks import withheld
from pytest_gump.engine.checks.bounds import Crossing, check_bounds, gate_config
from pytest_gump.engine.checks.collected import count_notes
from pytest_gump.engine.checks.no_change import describe_answer, without_caches
from pytest_gump.errors import AgentError, GumpError, WorktreeError, reason_of
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.gates.tools.detect import TEST_PATTERNS
from pytest_gump.order import AttemptResult, Outcome, to_wire
from pytest_gump.settings.settings import WAIT
from pytest_gump.system.secrets import MASKED_NOTE, Secrets
from pytest_gump.system.worktrees.folder import SlotLost
from pytest_gump.text import listed, one_line

if TYPE_CHECKING:
    from pytest_gump.agents.base import Agent, SessionRef
    from pytest_gump.engine.attempt.context_phase import Material
    from pytest_gump.engine.attempt.tools import AttemptEvent, Tools
    from pytest_gump.order import Order
    from pytest_gump.system.worktrees.slot import Slot


class Cancelled(KeyboardInterrupt):
    """Ctrl-C came during an attempt; `result` holds the work and the cost so far."""

    def __init__(self, result: AttemptResult) -> None:
        super().__init__(f"{result.step}: interrupted")
        self.result = result


def execute(order: Order, tools: Tools) -> AttemptResult:
    """Carry out an order and return the result of the attempt.

    Raises:
        Cancelled: Ctrl-C came. All processes of the attempt have ended; its files are kept if possible.
        WorktreeError: The worktree cannot be prepared. No agent was started.
        AgentError: The agent's name is unknown.
    """
    return _Attempt(order, tools).execute()


class _Attempt:
    def __init__(self, order: Order, tools: Tools) -> None:
        self.order = order
        self.tools = tools
        self.facts = Facts(started=tools.now())
        if order.agent_part is not None:
            self.facts.handover = handed_over(order.agent_part)
        self.secrets = Secrets.named({*tools.settings.agent_env, *tools.settings.gate_env})
        self.agent = None if order.agent is None or order.setup_only else tools.agents(order.agent)
        self.slot: Slot = tools.slots.slot(order.slot)
        self.began = tools.clock()
        self.workplace = make_workplace(order, tools, self.slot)
        self.snapshots = Snapshots(order, tools.repository, self.slot, self.workplace.files)

    def execute(self) -> AttemptResult:
        try:
            judgement = self._judge()
        except KeyboardInterrupt:
            judgement = Judgement(Outcome.CANCELLED, "interrupted")
            if self.facts.run is not None and self.snapshots.snapshot is None:
                with suppress(GumpError, OSError):
                    self._keep()
        except (GumpError, OSError) as error:
            judgement = self._broken(error)
        result = self._finish_despite_errors(judgement)
        if result.outcome is Outcome.CANCELLED:
            raise Cancelled(result)
        return result

    def _broken(self, error: GumpError | OSError) -> Judgement:
        """Turn an error into an outcome once the agent has run: the attempt has a cost and may have caused the error.

        Raises:
            GumpError: No agent has run yet.
        """
        run = self.facts.run
        if run is None:
            raise error if isinstance(error, GumpError) else WorktreeError(f"cannot start: {reason_of(error)}")
        if run.cancelled:
            return Judgement(Outcome.CANCELLED, "interrupted while the agent worked")
        lost = error if isinstance(error, SlotLost) else self.slot.lost
        if lost is not None:
            return Judgement.failed(Outcome.OUT_OF_BOUNDS, reason_of(lost))
        reason = reason_of(error).replace(self.workplace.files.access, str(self.workplace.files.path))
        return Judgement.failed(Outcome.AGENT_ERROR, f"after the agent ended: {reason}")

    def _finish_despite_errors(self, judgement: Judgement) -> AttemptResult:
        """Return a result even if its files cannot be written, so that the cost of an agent that ran is recorded."""
        try:
            result = self._finish(judgement)
        except (GumpError, OSError) as error:
            broken = self._broken(error)
            self.facts.notes += [] if judgement is PASSED else [broken.reason]
            result = self._result(broken if judgement.outcome is Outcome.PASSED else judgement)
            result = masked_result(result, self.secrets)
            with suppress(GumpError, OSError):
                result = replace(result, snapshot=self.snapshots.seal(self._message(result)))
        if self.facts.run is None and result.outcome is Outcome.CANCELLED and self.agent is not None:
            # The agent may have started.
            return recover(self.order, self.tools, result, self.workplace.files.path, self.facts.started)
        return result

    def _judge(self) -> Judgement:
        problem = self._prepare() or (self._work(self.agent) if self.agent is not None else None)
        if problem is not None:
            return problem
        judgement = self._check()
        return self._judge_no_change(judgement) if self._is_unchanged else judgement

    # -- before ----------------------------------------------------------------------------------------------------

    def _prepare(self) -> Judgement | None:
        self.slot.prepare(self.order.base)
        setup = Setup(self.order, self.tools, self.workplace, self.slot, at=self.order.base)
        problem = setup.begin() or self._unchanged_interpreter()
        self.facts.notes += setup.notes
        return problem

    def _unchanged_interpreter(self) -> Judgement | None:
        """Return a gate error if the gates' Python has changed: gates could then not check the agent's work."""
        why = None if self.agent is None else self._interpreter_changes()
        return None if why is None else Judgement.failed(Outcome.GATE_ERROR, why)

    def _interpreter_changes(self) -> str | None:
        why, installed = interpreter_changes(self.tools)
        self.facts.named += installed
        return why

    # -- the agent -------------------------------------------------------------------------------------------------

    def _work(self, agent: Agent) -> Judgement | None:
        material = read_material(self.order, self.tools, self.workplace, self.slot)
        self.facts.notes += material.notes
        if material.missing is not None:
            # The agent is not at fault, but this outcome is retried, and a later attempt may find the file.
            return Judgement.failed(Outcome.AGENT_ERROR, material.missing)
        if any(part.bash for part in self.order.context):
            self.slot.restore(self.order.base)  # changes of these commands are not the agent's work
        order = self._with_usable_session(agent)
        try:
            run = self._start(agent, order, material)
            if (lost := lost_session.lost_by(order, run)) is not None:
                run = self._start_afresh(agent, order, material, run, lost)
        except AgentError as error:
            return Judgement.failed(Outcome.AGENT_ERROR, str(error.args[0]))
        return self._judge_work(run)

    def _start(self, agent: Agent, order: Order, material: Material) -> AgentRun:
        prompt = compose(order.head, conventions=material.conventions, context=material.context)
        self.workplace.files.write("prompt.md", prompt.encode("utf-8", "surrogateescape"))
        self.slot.empty_handover()
        task = make_task(order, self.tools, self.slot.path, prompt, self.workplace.files.path)
        self.secrets = Secrets.named({*self.secrets.values, *agent.command(task).env_names})
        self.facts.task = task
        tools = replace(self.tools, listen=self._listen) if self.secrets else self.tools
        self.facts.run = run = run_agent(order, tools, self.workplace, agent, task)
        return run

    def _listen(self, event: AttemptEvent) -> None:
        self.tools.listen(masked_event(event, self.secrets))

    def _start_afresh(
        self, agent: Agent, order: Order, material: Material, first: AgentRun, lost: SessionRef
    ) -> AgentRun:
        """Start the agent again within the same attempt. This uses up no retry, because the first start did no work."""
        self.facts.notes.append(lost_session.NOTE.format(id=one_line(lost.id)))
        self.facts.session_lost = True
        lost_session.keep_apart(self.workplace.files)
        self.slot.restore(order.base)
        again = lost_session.time_left(lost_session.afresh(self.order), first.duration_s)
        self.facts.run = run = lost_session.together(first, self._start(agent, again, material))
        return run

    def _with_usable_session(self, agent: Agent) -> Order:
        order, note = usable(self.order, agent, self.slot.path)
        if note is not None:
            self.facts.notes.append(note)
            self.facts.session_lost = True
        return order

    def _judge_work(self, run: AgentRun) -> Judgement | None:
        order, settings, facts = self.order, self.tools.settings, self.facts

        def read(name: str) -> bytes | None:
            return self.slot.read_handover(name, settings.handover_bytes)

        most, least = settings.max_items, order.min_items
        facts.handover = read_handover(read, order.mode, message=run.ending.message, max_items=most, min_items=least)
        broken = self._keep()
        if broken is None:
            facts.ignored = self.slot.ignored_since_setup() if self._is_unchanged else ()
            facts.named += named_changes(order, self.tools, self.slot, self.snapshots.changed)
        crossing = self._crossing()
        read_only = order.mode != "diff" or order.limits.no_write
        unwanted = [file.path for file in self.snapshots.changed_by_attempt] if read_only else []
        judgement = judge_work(run, order.limits, facts.handover, unwanted=unwanted, crossing=crossing.reason)
        if broken is not None and (judgement is None or judgement.outcome is Outcome.OUTPUT_INVALID):
            judgement = broken
        if crossing.warning is not None:
            facts.notes.append(crossing.warning)
        if unwanted or (judgement is not None and judgement.guard == "no_write"):
            self.snapshots.roll_back()
        if facts.leaks:  # the worktree stays on disk after the run
            self.slot.restore(order.base)
            self.slot.remove_ignored(settings.keep_ignored)
            self.slot.renew_git(order.base)
            facts.notes.append(f"the commit at {attempt_ref(order)} holds the secret; gump discard removes it")
        return judgement

    def _keep(self) -> Judgement | None:
        """Snapshot the agent's changes; return a judgement only if that fails."""
        message = self._message(self._result(Judgement(Outcome.CRASHED, "the attempt did not finish")))
        try:
            self.snapshots.keep(message)
        except (GumpError, OSError) as error:
            broken = self._broken(error)
            self.snapshots.keep_nothing(message)
            return broken
        return None

    def _crossing(self) -> Crossing:
        changed = [file.path for file in self.snapshots.changed]
        tests = (*TEST_PATTERNS, *self.tools.settings.test_files)
        crossing = check_bounds(self.order, changed, bad=self.snapshots.bad, tests=tests)
        leaks = self.facts.leaks = self.snapshots.leaks(self.secrets)
        leaked = f"the value of a secret was found: {'; '.join(leaks)}" if leaks else None
        reasons = [reason for reason in (crossing.reason, leaked, self._interpreter_changes()) if reason]
        return crossing._replace(reason="; ".join(reasons) or None)

    # -- gates -----------------------------------------------------------------------------------------------------

    def _check(self) -> Judgement:
        order, facts = self.order, self.facts
        if not order.gates or order.gates_due:
            return Judgement(Outcome.PASSED)
        setup = Setup(order, self.tools, self.workplace, self.slot, at=self.snapshots.commit)
        problem = setup.for_gates()
        facts.notes += setup.notes
        if problem is not None:
            return problem
        if facts.run is not None:
            self.slot.renew_git(order.base)
        custom = any(gate.name not in BUILTIN for gate in order.gates)
        patch = self.snapshots.patch() if custom else None
        began = self.tools.clock()
        try:
            gate_input = GateInput(self.snapshots.changed, patch, facts.handover.payload)
            facts.gates = run_step_gates(order, self.tools, self.workplace, gate_input)
            facts.named += count_notes(facts.gates, order.known_tests, order.known_skipped)
        finally:
            facts.gates_s = self.tools.clock() - began
            self.slot.restore(self.snapshots.commit)
        judgement = judge_gates(facts.gates)
        facts.notes += withheld.from_gates(facts.gates, self.tools.settings.gate_env)
        if (missed := without_caches(setup.removed)) and judgement is not PASSED:
            facts.notes.append(f"ignored files are not kept, so the gates did not see them: {listed(missed)}")
        return judgement

    @property
    def _is_unchanged(self) -> bool:
        """True if a step that should change files left all of them as they were."""
        began = self.tools.repository.tree_of(self.order.step_base)
        return (self.order.mode == "diff" or self.order.must_change) and self.snapshots.tree == began

    def _judge_no_change(self, checked: Judgement) -> Judgement:
        """Decide about an attempt without changes, after its gates. A failed gate takes precedence."""
        facts, ending = self.facts, self.facts.run.ending if self.facts.run is not None else None
        facts.no_change = facts.handover.no_change
        if checked.outcome is not Outcome.PASSED:
            return checked
        judgement = judge_no_change(facts.no_change, facts.ignored, must_change=self.order.must_change, ending=ending)
        if judgement.outcome is not Outcome.PASSED:
            facts.notes += describe_answer(ending)
        return judgement

    # -- the result ------------------------------------------------------------------------------------------------

    def _finish(self, judgement: Judgement) -> AttemptResult:
        self._record(judgement)
        changed = self.snapshots.changed
        result = replace(
            self._result(judgement),
            tree=self.snapshots.tree,
            changed=changed,
            gate_config=gate_config(file.path for file in changed) if self.facts.run is not None else (),
        )
        if self.order.agent_part is not None:
            result = with_agent_part(result, self.order.agent_part)
        masked = self.secrets.mask_files(self.workplace.folder)
        if masked:
            result = replace(result, notes=(*result.notes, MASKED_NOTE + ", ".join(masked)))
        result = masked_result(result, self.secrets)
        snapshot = self.snapshots.seal(self._message(result)) or result.snapshot
        result = replace(result, snapshot=snapshot, scratch=self.workplace.kept)
        write_result(self.workplace.files, result)
        return result

    def _record(self, judgement: Judgement) -> None:
        """Record the attempt into the cassette. Call this before the files are masked: masking shortens the output."""
        folder, agent, facts, snapshot = self.tools.settings.record, self.agent, self.facts, self.snapshots.snapshot
        if folder is None or agent is None or facts.task is None or facts.run is None or snapshot is None:
            return
        if judgement.outcome in {Outcome.CANCELLED, Outcome.CRASHED}:
            return
        if judgement.outcome is Outcome.QUOTA and self.tools.settings.on_quota == WAIT:  # the retry is recorded instead
            return

        from pytest_gump.engine.attempt.record_take import Work, record  # late: few runs are recorded

        def write_patch(out: Path) -> None:
            self.tools.repository.patch(self.order.base, snapshot.commit, out)

        work = Work(agent.cli, facts.task, facts.run, self.workplace.folder, self.secrets, write_patch)
        why_not = record(Path(folder), work)
        if why_not is not None:
            facts.notes.append(why_not)

    def _message(self, result: AttemptResult) -> str:
        subject = f"gump: {result.step} attempt {result.attempt}: {result.outcome}"
        return f"{subject}\n\n{json.dumps(self.secrets.mask(to_wire(result)))}\n"

    def _result(self, judgement: Judgement) -> AttemptResult:
        """Return the result without the fields that are read from the tree."""
        return result_of(self.order, self.facts, judgement, self.tools.clock() - self.began, self.snapshots.notes)
