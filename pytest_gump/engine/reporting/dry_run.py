"""Description of a workflow, step by step, for a dry run. Nothing is started."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.reporting.dry_run_attempts import agent_text, describe_attempts
from pytest_gump.engine.run.call_scope import CallScope
from pytest_gump.gates.base import PROJECT_GATES
from pytest_gump.units import format_age, format_duration, format_usd
from pytest_gump.workflow.edit import foreach_groups
from pytest_gump.workflow.generated import MERGE, merged_members
from pytest_gump.workflow.model import VALIDATE
from pytest_gump.workflow.path import VALIDATE as VALIDATOR
from pytest_gump.workflow.path import StepPath
from pytest_gump.workflow.reading.read_gates import BUILTIN_GATES
from pytest_gump.workflow.refs import Scopes, iter_references, iter_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from pytest_gump.workflow.model import Call, ContextEntry, Guard, Step, Workflow
    from pytest_gump.workflow.refs import Reference

COMMAND_ROWS: Final = ("gates", "setup", "context")
READ_ONLY: Final = ("plan", "artifact", "review")

Rows = list[tuple[str, str]]


def describe(
    workflow: Workflow,
    *,
    source: str,
    spec_name: str,
    commands: Mapping[str, str],
    location: Callable[[str], tuple[Path | None, int | None]] = lambda _: (None, None),
    inputs: Mapping[str, str] | None = None,
    columns: int = 100,
) -> list[str]:
    """Describe the workflow after the overrides of the command line.

    Args:
        source: Origin of the workflow (`project`, `user`, `built-in`, `file`).
        commands: Gate commands by kind; a missing kind was neither set nor detected.
        location: Returns file and line of a step by its static path.
        inputs: Values of the workflow's inputs that have one.
        columns: Width at which lines are wrapped; commands are never wrapped.
    """
    view = _View(workflow, commands, location, CallScope(workflow, inputs or {}), columns)
    text = [f"{workflow.name} on {spec_name} ({source} workflow)"]
    if workflow.description:
        text += view.wrapped(workflow.description, "  ")
    text += view.block(list(_run_rows(workflow, inputs or {})), indent=2)
    for path, step in iter_steps(workflow.steps):
        text += ["", *view.step(path, step)]
    return text


class _View:
    def __init__(
        self,
        workflow: Workflow,
        commands: Mapping[str, str],
        location: Callable[[str], tuple[Path | None, int | None]],
        calls: CallScope,
        columns: int,
    ) -> None:
        self._scopes = Scopes(workflow)
        self._commands = commands
        self._location = location
        self._calls = calls
        self._columns = max(columns, 40)
        self._foreach = frozenset(foreach_groups(workflow.steps))
        self._width = max(len(self.address(path)) for path, _ in iter_steps(workflow.steps))
        self._read: defaultdict[str, list[Reference]] = defaultdict(list)
        for reference in iter_references(workflow):
            self._read[reference.step].append(reference)

    def step(self, path: tuple[str, ...], step: Step) -> list[str]:
        """Describe a step. The steps of a called workflow are indented."""
        margin = 2 * self._calls.depth(path)
        facts = [self.address(path).ljust(self._width), self._what(path, step), self._line(path)]
        first = " " * margin + "  ".join(fact for fact in facts if fact).rstrip()
        return [first, *self.block(list(self._rows(path, step)), indent=4 + margin)]

    def _line(self, path: tuple[str, ...]) -> str:
        file, line = self._location("::".join(path))
        if line is None:
            return ""
        return f"{file.name}:{line}" if file is not None and self._calls.depth(path) else f"line {line}"

    def address(self, path: tuple[str, ...]) -> str:
        """Return the node id without the file: `build::impl[*]`."""
        return f"{'::'.join(path)}{self._stars(path)}"

    def block(self, rows: Rows, *, indent: int) -> list[str]:
        """Format rows of a label and a text, with aligned texts. A row without a label continues the row above."""
        margin = " " * indent
        width = max((len(label) for label, _ in rows), default=0)
        text, current = [], ""
        for label, value in rows:
            start = f"{margin}{label:<{width}}  "
            current = label or current
            text += [start + value] if current in COMMAND_ROWS else self.wrapped(value, start)
        return [line.rstrip() for line in text]

    def wrapped(self, text: str, start: str) -> list[str]:
        kept = {"break_long_words": False, "break_on_hyphens": False}
        return textwrap.wrap(text, self._columns, initial_indent=start, subsequent_indent=" " * len(start), **kept)  # type: ignore[arg-type]

    def _stars(self, path: tuple[str, ...]) -> str:
        loops = self._loops(path)
        return f"[{'--'.join('*' * loops)}]" if loops else ""

    def _loops(self, path: tuple[str, ...]) -> int:
        return sum("::".join(path[:depth]) in self._foreach for depth in range(1, len(path)))

    def _what(self, path: tuple[str, ...], step: Step) -> str:
        if step.kind == "agent":
            return f"{agent_text(step)}, {step.output}"
        if step.kind == "gate":
            return "gates only"
        if step.kind == "approve":
            return "a person approves"
        side = "in parallel" if step.parallel else "in order"
        what = "group" if step.call is None else f"{_relation(path)} {_called(step.call)}"
        if step.foreach is None:
            return f"{what}, its steps {side}"
        plan = self._scopes.resolve(path, step.foreach)
        return f"{what}, once for each item of {self.address(plan)}, {side}"

    def _rows(self, path: tuple[str, ...], step: Step) -> Iterator[tuple[str, str]]:
        if step.call is not None:
            yield from _input_rows(self._calls.shown_inputs(path, step.call))
            yield from _limit_rows(step.call, "the call" if step.foreach is None else "each item")
        around = ("*",) * self._loops(path)
        merged = [str(StepPath((*path, MERGE), (*around, name))) for name in merged_members(step)]
        if merged:
            yield "merges", f"{', '.join(merged)}, in plan order"
        if step.overlap == "serialize":
            yield "overlap", "items that may change the same files run one after the other"
        yield from self._gates(step)
        yield from _approval(step)
        if step.allow_no_change:
            yield "changes", "the step may pass without any"
        if step.kind == "agent":
            guards = ", ".join(_guards(step))
            yield "guards", guards or "none"
            yield "session", self._session(path, step)
        yield from describe_attempts(step)
        if step.max_budget is not None:
            yield "budget", f"{format_usd(step.max_budget)} for all attempts of the step"
        for number, entry in enumerate(step.context):
            yield "" if number else "context", _context(entry)
        yield from self._references(path)

    def _gates(self, step: Step) -> Iterator[tuple[str, str]]:
        labels = [gate.label for gate in step.gate]
        meanings = [self._gate(gate.name) for gate in step.gate]
        width = max((len(label) for label, meaning in zip(labels, meanings, strict=True) if meaning), default=0)
        for number, (label, meaning) in enumerate(zip(labels, meanings, strict=True)):
            yield "" if number else "gates", f"{label:<{width}}  {meaning}" if meaning else label

    def _gate(self, name: str) -> str:
        if name in PROJECT_GATES:
            return self._commands.get(name) or f"no command found: set gump_{name}"
        if name == VALIDATE:
            return "when all other gates have passed; its steps follow"
        return "" if name in BUILTIN_GATES else "a gate of this project or of a plugin"

    def _session(self, path: tuple[str, ...], step: Step) -> str:
        mode, target = step.session.mode, step.session.step
        if target is not None:
            begins = "starts with a copy of" if mode == "fork" else "continues"
            return f"{begins} the conversation of {self.address(self._scopes.resolve(path, target))}"
        scope = "plan item" if self._stars(path) else "group" if len(path) > 1 else "run"
        meanings = {
            "fresh": "fresh; kept while the same agent retries",
            "reuse": f"continues the newest conversation of the same CLI in this {scope}",
            "reuse-on-retry": "fresh; continues the step's own conversation on a retry",
        }
        return meanings[mode]

    def _references(self, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        label = "reads"
        for reference in self._read["::".join(path)]:
            target = tuple(reference.resolved.split("::"))
            which = _which_items(path, target, self._foreach)
            written = f"{{{reference.written}}} in {reference.key}"
            yield label, f"{written}: {reference.field} of {self.address(target)}{which}"
            label = ""


def _context(entry: ContextEntry) -> str:
    if entry.workflow is not None:
        return f"output of workflow {entry.workflow}"
    return f"file {entry.file}" if entry.file else f"output of: {entry.bash}"


def _relation(path: tuple[str, ...]) -> str:
    return "validator:" if VALIDATOR in path[-1] else "call of"


def _which_items(path: tuple[str, ...], target: tuple[str, ...], foreach: Collection[str]) -> str:
    loops = [depth for depth in range(1, len(target)) if "::".join(target[:depth]) in foreach]
    shared = [depth for depth in loops if target[:depth] == path[:depth] and depth < len(path)]
    if not loops:
        return ""
    return ", of the same item" if len(shared) == len(loops) else ", of every item"


def _approval(step: Step) -> Iterator[tuple[str, str]]:
    if step.hitl is not None:
        when = "before the gates run" if step.hitl == "before_gate" else "after the gates have passed"
        yield "approval", f"a person approves the work {when if step.gate else 'of the step'}"
    if step.approve is not None:
        expires = step.approve.expires
        limit = "" if expires is None else f"; without an answer, it is rejected after {format_age(expires)}"
        yield "approval", f"shows {', '.join(step.approve.show)}{limit}"


def _guards(step: Step) -> Iterator[str]:
    yield from guard_words(step.guard)
    if step.output in READ_ONLY:
        yield f"no_write (implied by {step.output})"


def guard_words(guard: Guard) -> Iterator[str]:
    if guard.max_turns is not None:
        yield f"max_turns {guard.max_turns}"
    if guard.max_budget is not None:
        yield f"max_budget {format_usd(guard.max_budget)}"
    if guard.max_tokens is not None:
        yield f"max_tokens {guard.max_tokens}"
    if guard.max_time is not None:
        yield f"max_time {format_duration(guard.max_time)}"
    if guard.no_write:
        yield "no_write"


def _called(call: Call) -> str:
    return call.workflow if call.package is None else f"{call.workflow} ({call.package.version})"


def _input_rows(inputs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(inputs.items()):
        yield "" if number else "inputs", f"{name}: {value}"


def _limit_rows(call: Call, whose: str) -> Iterator[tuple[str, str]]:
    limits = ", ".join(_limits(call))
    if limits:
        yield "limits", f"{limits} for all attempts of {whose}"
    if call.blast_radius != "off":
        yield "blast radius", f"{call.blast_radius}, unless the caller is stricter"


def _limits(limited: Workflow | Call) -> Iterator[str]:
    if limited.max_budget is not None:
        yield format_usd(limited.max_budget)
    if limited.max_tokens is not None:
        yield f"{limited.max_tokens} tokens"
    if limited.max_time is not None:
        yield format_duration(limited.max_time)


def _run_rows(workflow: Workflow, inputs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    limits = list(_limits(workflow))
    yield "budget", f"{', '.join(limits)} for the whole run" if limits else "none"
    yield "blast radius", workflow.blast_radius
    for number, command in enumerate(workflow.setup):
        yield "" if number else "setup", command
    yield from _input_rows({name: inputs.get(name, "") for name in workflow.inputs})
