"""Build the order of an attempt: its prompt, gates, limits and conversation."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_gump.engine.attempt.permitted import gate_texts, permitted
from pytest_gump.engine.attempt.prompt import PromptParts, head_sections, replan_item_prompt, replan_prompt, standing
from pytest_gump.engine.attempt.shell_rules import shell_rules
from pytest_gump.engine.checks.bounds import writes_tests
from pytest_gump.engine.checks.collected import KnownTests
from pytest_gump.engine.record.records import results
from pytest_gump.engine.run.budget import limits_of
from pytest_gump.engine.run.call_scope import CallScope, is_input
from pytest_gump.engine.run.context_parts import context_key, context_parts, context_template
from pytest_gump.engine.run.fingerprint import hashed, portable
from pytest_gump.engine.run.sessions import choose_session
from pytest_gump.engine.run.templates import Templates
from pytest_gump.gates.tools.detect import BYTECOMPILE, TEST_PATTERNS
from pytest_gump.order import Order, Outcome
from pytest_gump.workflow.edit import plan_steps
from pytest_gump.workflow.model import VALIDATE, GateSpec
from pytest_gump.workflow.refs import Scopes
from pytest_gump.workflow.template import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.agents.base import SessionRef
    from pytest_gump.agents.shell.permissions import Shell
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.run.fingerprint import Identity
    from pytest_gump.engine.run.sessions import Beginning
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import AttemptResult, Limits, Section
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.workflow.model import Workflow


@dataclass(frozen=True, slots=True)
class RunInputs:
    """The inputs of a run. They do not change while it is running."""

    run_id: str
    workflow: Workflow
    """After the overrides of the command line."""
    workflow_texts: Mapping[str, str]
    """Texts of the workflow and of all that it calls, by the names of their copies in the run's folder."""
    spec_name: str
    spec_bytes: bytes
    base: str
    commands: tuple[tuple[str, str], ...]
    """Gate commands of the base."""
    settings: Settings
    cli_of: Callable[[str], str]
    """Program family of an agent name."""
    inputs: Mapping[str, str]
    shell_of: Callable[[str], Shell | None] = lambda _: None
    """Returns what the CLI of an agent does with shell commands; None if that is unknown."""
    describe_agent: Callable[[str], str] = str
    """Returns the program, model and arguments that an agent name stands for."""
    models_of: Callable[[str], str | None] = lambda _: None
    """Returns the family of an agent's models; None if it is not known."""
    value_prefix: Callable[[str, str], str] = lambda *_: ""
    """Returns where a call, by its static path, gives an input its value: `flow.yaml:6: `; may be empty."""

    @property
    def setup(self) -> tuple[str, ...]:
        """The commands that prepare a worktree: those of the project, then those of the workflow."""
        return (*self.settings.setup, *self.workflow.setup)

    @property
    def copies(self) -> dict[str, bytes]:
        """The copies of the spec and the workflows in the run's folder, by file name."""
        return {**{name: text.encode() for name, text in self.workflow_texts.items()}, "spec.md": self.spec_bytes}

    @property
    def spec_text(self) -> str:
        return self.spec_bytes.decode("utf-8", "replace")


class OrderBuilder:
    """Fills an order from the run's record, which it only reads."""

    def __init__(self, inputs: RunInputs, record: RunRecord, repository: Repository) -> None:
        self._inputs = inputs
        self._record = record
        self._known_tests = KnownTests(record, repository.tree_of)
        self._scopes = Scopes(inputs.workflow)
        self._foreach = plan_steps(inputs.workflow, self._scopes)
        self._calls = CallScope(inputs.workflow, inputs.inputs, inputs.value_prefix)
        self._templates = Templates(
            record, repository, inputs.settings, base=inputs.base, spec=inputs.spec_text,
            calls=self._calls, scopes=self._scopes, foreach=self._foreach,
        )  # fmt: skip

    def build(self, ready: Ready, slot: Callable[[str | None], str], side: Callable[[], str]) -> Order:
        """Build the order of an attempt.

        Args:
            ready: The attempt.
            slot: Chooses its worktree slot. It gets the slot of the conversation to resume, or None.
            side: Chooses its side slot, if a gate needs one.
        """
        inputs, mode = self._inputs, ready.mode
        entries = ready.step.context if ready.role == "step" else ()
        order = partial(
            Order,
            run_id=inputs.run_id,
            step=str(ready.path),
            attempt=ready.attempt,
            mode=mode,
            base=ready.base,
            step_base=ready.step_base,
            run_base=inputs.base,
        )
        if mode == "merge":
            return order(agent=None, slot="", theirs=ready.theirs)
        if mode == "approve":
            return order(agent=None, slot="", entry=ready.entry, identity=self.identify(ready))
        beginning = self._beginning(ready)
        session = beginning.session
        return order(
            agent=ready.agent,
            slot=slot(session.slot if session else None),
            side=side() if any(gate.needs_side for gate in self._gates(ready)) else "",
            head=self._head(ready, beginning) if ready.agent else (),
            context=context_parts(entries, lambda text: self._templates.render(text, ready)),
            gates=self._gates(ready),
            commands=inputs.commands,
            limits=self._limits(ready),
            blast_radius=self._calls.blast_radius(ready.path) if mode == "diff" else "off",
            must_change=_must_change(ready),
            min_items=_min_items(ready),
            item=ready.keep_item or (ready.items[-1] if ready.items else None),
            session=session,
            fork=beginning.fork,
            standing=self._standing_of(session),
            known_tests=self._known_tests.collected(ready.step_base),
            known_skipped=self._known_tests.set_aside(ready.step_base),
            setup=inputs.setup,
            entry=ready.entry,
            identity=self.identify(ready),
            gates_due=_are_gates_due(ready),
            agent_part=self._agent_part(ready) if ready.entry in {"gates", "recheck"} else None,
        )

    def identify(self, ready: Ready) -> Identity:
        """Return the fingerprint of the attempt. It does not include the trees."""
        if ready.mode == "merge":
            return {}
        step, inputs = ready.step, self._inputs
        read: dict[str, str] = {}

        def declared(name: str, ready: Ready) -> str:
            if name == "spec":
                read[name] = inputs.spec_text
            elif name.startswith(("steps.", "item.", "task.")):
                read[self._calls.name_in(ready, name)] = self._templates.stable_value(name, ready)
            elif is_input(name):
                return self._calls.value(name, ready, declared)
            else:
                return self._templates.stable_value(name, ready)
            return f"{{{name}}}"

        prompt = self._task(ready, declared) if ready.agent else ""
        entries = step.context if ready.role == "step" else ()
        for entry in entries:
            parse(context_template(entry)).render(lambda name: declared(name, ready))
        if ready.mode == "plan" and ready.role == "step":
            read["spec"] = inputs.spec_text
        items = [(item.name, item.description, item.files) for item in (*ready.items, ready.keep_item) if item]
        session = (step.session.mode, step.session.step)
        commands = dict(inputs.commands)
        gates = [
            (gate.name, gate.argument, portable(commands.get(gate.name, ""), _INSTALLED)) for gate in self._gates(ready)
        ]
        spec = read.pop("spec", "")
        return {
            "definition": hashed(
                (
                    ready.mode,
                    ready.role,
                    context_key(entries),
                    session,
                    self._calls.blast_radius(ready.path),
                    inputs.setup,
                )
            ),
            "prompt": hashed(prompt),
            "spec": hashed(spec),
            "agent": hashed((ready.agent, inputs.describe_agent(ready.agent)) if ready.agent else ""),
            "gates": hashed(gates),
            "hand-over": hashed((items, sorted(read.items())) if items or read else ""),
            "package": self._calls.packages(ready.path),
        }

    def _gates(self, ready: Ready) -> tuple[GateSpec, ...]:
        if ready.role == "replan-plan":
            return ()
        if ready.role == "replan-item":
            return (GateSpec("compile"),)
        return tuple(gate for gate in ready.step.gate if gate.name != VALIDATE)

    def _limits(self, ready: Ready) -> Limits:
        return replace(
            limits_of(self._inputs.workflow, ready.step, ready.path, self._record),
            silence_s=self._inputs.settings.silence_timeout_s,
            no_write=ready.mode in {"plan", "artifact", "review"} or bool(ready.step.guard.no_write),
        )

    def _beginning(self, ready: Ready) -> Beginning:
        target = ready.step.session.step
        static = "::".join(self._scopes.resolve(ready.path.names, target)) if target else None
        return choose_session(
            ready,
            self._record,
            foreach=self._foreach,
            call_of=self._scopes.scope_of,
            cli_of=self._inputs.cli_of,
            target=static,
        )

    def wrong_input(self, ready: Ready) -> str | None:
        """Return which input of a call around the attempt is not valid after it was filled; None if all are."""
        return self._calls.wrong_input(ready, self._templates.value)

    # -- prompt --------------------------------------------------------------------------------------------------

    def _head(self, ready: Ready, beginning: Beginning) -> tuple[Section, ...]:
        settings = self._inputs.settings
        failed = self._templates.failed(ready)
        return head_sections(
            PromptParts(
                task=self._task(ready, self._templates.value),
                task_key=self._task(ready, self._templates.stable_value),
                mode=ready.mode,
                failed=results(failed),
                diff=self._templates.diff_of(failed[-1], settings.diff_chars) if failed else "",
                tree="reset" if ready.base == ready.step_base else "kept",
                standing=self._standing(ready, beginning),
                item=ready.keep_item,
                blast_radius=self._calls.blast_radius(ready.path),
                protected=_protected(ready),
                writes_tests=writes_tests(ready.step.gate),
                test_patterns=(*TEST_PATTERNS, *settings.test_files),
                spec=self._inputs.spec_text if ready.mode == "plan" and ready.role == "step" else None,
                must_change=_must_change(ready),
                max_items=settings.max_items,
                min_items=_min_items(ready),
                error_chars=settings.error_chars,
                shell_rules=self._shell_rules(ready),
            )
        )

    def _shell_rules(self, ready: Ready) -> tuple[str, ...]:
        """Return the rules on the shell for the agent. A replay of a cassette does not compare them."""
        inputs, gates = self._inputs, self._gates(ready)
        permissions = permitted(ready.mode, inputs.commands, gates, inputs.settings.allow_commands)
        return shell_rules(permissions, inputs.shell_of(ready.agent or ""), gate_texts(inputs.commands, gates))

    def _task(self, ready: Ready, value: Callable[[str, Ready], str]) -> str:
        text = ready.step.prompt if ready.prompt is None else ready.prompt
        if ready.role != "replan-item":
            task = parse(text).render(lambda name: value(name, ready))
            item = ready.items[-1] if ready.items else None
            return replan_prompt(task, item) if ready.role == "replan-plan" else task
        outer = replace(ready, items=ready.items[:-1])
        return replan_item_prompt(parse(text).render(lambda name: value(name, outer)), ready.items[-1])

    def _standing(self, ready: Ready, beginning: Beginning) -> str:
        if beginning.missed is not None:
            return standing(beginning.missed)
        if ready.session != "resume" or beginning.session is not None or str(ready.path) not in self._record.steps:
            return ""
        before = self._record.steps[str(ready.path)].attempts[-1].result
        return "" if before is None else standing(before.message)

    def _agent_part(self, ready: Ready) -> AttemptResult | None:
        """Return the result with the agent's work, if only gates run: after an approval, or because they could not."""
        newest_first = [*reversed(self._record.steps[str(ready.path)].attempts)]
        if ready.entry == "gates":
            return next((each.result for each in newest_first if each.verdict == "approved"), None)
        ended = (each.result for each in newest_first)
        return next((result for result in ended if result and result.outcome is Outcome.GATE_ERROR), None)

    def _standing_of(self, session: SessionRef | None) -> str:
        """Return the work so far for a fresh conversation, needed if the CLI has lost the one to resume."""
        newest_first = reversed(results(self._record.attempts) if session else ())
        owner = next((result for result in newest_first if result.session == session), None)
        return "" if owner is None else standing(owner.message)


def _are_gates_due(ready: Ready) -> bool:
    """True if the gates of an attempt must wait until a person has approved the agent's part."""
    is_first_part = ready.role in {"step", "gate", "replan-check"} and ready.entry not in {"gates", "recheck"}
    return is_first_part and ready.step.hitl == "before_gate" and bool(ready.step.gate)


def _must_change(ready: Ready) -> bool:
    """True if the attempt must change files; items of a replan need not."""
    step = ready.step
    is_whole = (ready.role == "step" and ready.mode == "diff") or ready.role == "replan-check"
    return is_whole and step.output == "diff" and not step.allow_no_change and not step.guard.no_write


def _min_items(ready: Ready) -> int:
    """Return the smallest number of items of the plan. The plan of a replan is never empty."""
    return 0 if ready.step.allow_empty and ready.role == "step" else 1


def _protected(ready: Ready) -> tuple[str, ...]:
    return tuple(gate.argument for gate in ready.step.gate if gate.name == "untouched" and gate.argument)


_INSTALLED = {str(BYTECOMPILE): "bytecompile", sys.executable: "python"}
