"""Reads a step: its kind, its keys, and the steps below it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.model import AgentOf, ContextEntry, Guard, OutputMode, Overlap, SessionMode, Step
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.located import Kind, PlacedStep, PlacedValidator, Surroundings, Templated
from pytest_gump.workflow.reading.original import CALLS, RECIPE
from pytest_gump.workflow.reading.prompt_text import read_prompt
from pytest_gump.workflow.reading.read_failure import read_failure
from pytest_gump.workflow.reading.read_gates import GateReader
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe
from pytest_gump.workflow.refs import split_state
from pytest_gump.workflow.template import BASE_NAMES, only_name

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.read_call import CalledWorkflow
    from pytest_gump.workflow.reading.yaml_nodes import Node

STEP_KEYS: Final = dict.fromkeys((*keys.keys(keys.StepKeys), RECIPE))
GUARD_KEYS: Final = keys.keys(keys.GuardKeys)
SESSION_WORDS: Final = get_args(keys.SessionWord)
FRESH: Final = SessionMode()
OUTPUTS: Final = get_args(OutputMode)
OVERLAPS: Final = get_args(Overlap)
ALWAYS: Final = ("name", "on_failure")
TAKEN: Final = {
    "agent": frozenset(
        {*ALWAYS, "hitl", "agent", "prompt", "output", "context", "session", "timeout", "guard", "max_budget", "gate"}
        | {"allow_no_change", "allow_empty"}
    ),
    "gate": frozenset({*ALWAYS, "hitl", "gate"}),
    "approve": frozenset({*ALWAYS, "approve"}),
    "group": frozenset({*ALWAYS, "hitl", "steps", "foreach", "parallel", "overlap", "max_budget", "gate"}),
    "call": frozenset({*ALWAYS, "hitl", *CALLS, "with", "foreach", "parallel", "overlap", "max_budget", "gate"}),
}
KIND_TITLES: Final = {
    "agent": "an agent step",
    "gate": "a gate-only step",
    "group": "a group",
    "call": "a call",
    "approve": "an approval step",
}
KINDS: Final = {"agent": "agent", "steps": "group", **dict.fromkeys(CALLS, "call"), "approve": "approve"}
"""Kind of a step by the key that only this kind has."""
MOVED: Final = {
    **dict.fromkeys(("max_turns", "max_tokens", "max_time", "no_write"), "write it below 'guard'"),
    **dict.fromkeys(("retry", "strategy", "restart_from", *keys.keys(keys.BranchKeys)), "write it below 'on_failure'"),
    "validate": "checks are listed under 'gate'",
}
_NAME = re.compile(keys.NAME_PATTERN, re.ASCII)


def name_error(name: str) -> str | None:
    """Return why a name is not valid in node ids, branches and paths; None if it is."""
    if name.startswith("-"):
        return "must not start with '-'"
    if "--" in name:
        return "must not contain '--'"
    if len(name) > 64:
        return "is longer than 64 characters"
    return None if _NAME.fullmatch(name) else "may contain only letters, digits, '_' and '-'"


def read_name(fields: Fields, title: str) -> str | None:
    """Read `name`. Report a name that is missing or not valid in paths."""
    name = fields.text("name")
    if name is None:
        if "name" not in fields:
            fields.refuse(f"{title} has no name", "add 'name: ...'")
        return None
    if wrong := name_error(name):
        fields.refuse_value("name", f"name {quoted(name)} {wrong}")
        return None
    return name


def read_steps(nodes: tuple[Node, ...], above: tuple[str, ...], around: Surroundings) -> tuple[PlacedStep, ...]:
    """Read sibling steps, with the calls for their context before each; report duplicate names."""
    declared = (step for node in nodes if (step := read_step(node, above, around)) is not None)
    steps = tuple(each for step in declared for each in (*step.before, step))
    first: dict[str, PlacedStep] = {}
    for step in steps:
        name = step.step.name
        if name and first.setdefault(name, step) is not step:
            line = first[name].fields.value_position("name").line
            what = f"duplicate step name {quoted(name)}"
            step.fields.refuse_value("name", what, f"the first is on line {line}; rename one")
    return steps


def read_step(node: Node, above: tuple[str, ...], around: Surroundings) -> PlacedStep | None:
    if not isinstance(node, MapNode):
        around.problems.add(node.position, f"a step must be a mapping with a name, not {describe(node)}")
        return None
    fields = Fields(node, STEP_KEYS, around.problems, moved=MOVED, hidden=(RECIPE,))
    name = read_name(fields, "the step") or ""
    kind = _kind(fields, name)
    _check_keys(fields, kind)
    return _Reader(fields, kind, (*above, name), around).read()


def _kind(fields: Fields, name: str) -> Kind:
    kinds = [key for key in ("agent", "steps", *CALLS, "approve") if key in fields.values]
    if len(kinds) > 1:
        hint = "an agent step is not a group: give the agent its own step" if "agent" in kinds else None
        hint = "'hitl: after_gate' asks a person about the work of a step" if "approve" in kinds else hint
        both = " and ".join(f"'{key}'" for key in kinds)
        what = f"{_title(name)} has {both}, but only one of them is allowed"
        fields.refuse_key(kinds[1], what, hint)
        return "unclear"
    if kinds:
        return KINDS.get(kinds[0], "unclear")  # type: ignore[return-value]
    for key in ("foreach", "parallel", "overlap"):
        if key in fields:
            fields.refuse(f"group {quoted(name)} has no 'steps'", f"'{key}' needs steps to run")
            return "unclear"
    if "gate" in fields:
        return "gate"
    if "with" not in fields:
        hint = "give it 'agent', 'gate', 'steps' or 'workflow'"
        fields.refuse(f"{_title(name)} does nothing: it has no agent, gate, steps or workflow", hint)
    return "unclear"


def _title(name: str) -> str:
    return f"step {quoted(name)}" if name else "the step"


def _check_keys(fields: Fields, kind: Kind) -> None:
    is_alone = "with" in fields and not any(key in fields for key in CALLS)
    if is_alone:
        fields.refuse_key("with", "'with' without 'workflow'")
    if kind == "unclear":
        return
    for key in fields.values:
        if key not in TAKEN[kind] and key in STEP_KEYS and not (is_alone and key == "with"):
            fields.refuse_key(key, f"{KIND_TITLES[kind]} takes no '{key}'", _key_hint(kind, key))


def _key_hint(kind: str, key: str) -> str:
    if kind == "group":
        return f"put '{key}' on the steps below"
    if kind == "call":
        return f"put '{key}' on the steps of the called workflow"
    if kind == "agent":
        return f"put the step below a group that has '{key}'"
    if kind == "approve":
        return "the step only asks: put the work into a step before it"
    return f"add an 'agent', or leave out '{key}'"


class _Reader:
    """Reads the keys of a step of one kind."""

    def __init__(self, fields: Fields, kind: Kind, names: tuple[str, ...], around: Surroundings) -> None:
        self._fields, self._kind, self._names, self._around = fields, kind, names, around
        self._texts: list[Templated] = []
        self._before: tuple[PlacedStep, ...] = ()
        self._validators: tuple[PlacedValidator, ...] = ()

    def read(self) -> PlacedStep:
        values: dict[str, Any] = {"name": self._names[-1]}
        children: tuple[PlacedStep, ...] = ()
        output = "diff"
        if self._kind == "agent":
            values.update(self._agent_values())
            output = values["output"]
        if self._kind in ("group", "unclear") and "steps" in self._fields:
            children = self._children()
            values["steps"] = tuple(child.step for child in children)
        called = self._call() if self._kind == "call" else None
        if called is not None:
            values["call"], values["steps"] = called.call, called.loaded.workflow.steps
            self._texts += called.texts
        if self._kind in ("group", "call"):
            values["foreach"] = self._fields.text("foreach")
            values["parallel"] = bool(self._fields.flag("parallel"))
            values["overlap"] = self._fields.choice("overlap", OVERLAPS) or "report"
            values["max_budget"] = self._fields.dollars("max_budget")
        if self._kind not in ("unclear", "approve"):
            gates = GateReader(self._fields, self._around, kind=self._kind, output=output)
            values["gate"] = gates.read()
            values["validators"] = tuple(validator.step for validator in gates.validators)
            self._validators = tuple(gates.validators)
            self._texts += [text for validator in gates.validators for text in validator.texts]
            self._check_empty_gate()
        if {"hitl", "approve"} & self._fields.values.keys():
            values.update(self._approval())
        failure = read_failure(self._fields, self._around)
        policies = failure.policies if failure else ()
        values["on_failure"] = failure.on_failure if failure else None
        for policy in policies:
            self._texts += policy.prompts
        return PlacedStep(
            Step(**values),
            self._names,
            self._kind,
            self._fields,
            policies,
            failure.fields if failure else None,
            tuple(self._texts),
            children,
            None if called is None else called.loaded,
            self._before,
            self._validators,
        )

    def _call(self) -> CalledWorkflow | None:
        from pytest_gump.workflow.reading.read_call import read_call  # most workflows call no other

        return read_call(self._fields, self._below, key=RECIPE if RECIPE in self._fields else "workflow")

    @property
    def _below(self) -> Surroundings:
        """What surrounds the steps inside."""
        return self._around._replace(in_foreach=True) if "foreach" in self._fields else self._around

    def _agent_values(self) -> dict[str, Any]:
        fields = self._fields
        prompt = read_prompt(fields, self._around)
        if prompt is not None:
            self._texts.append(prompt)
        output = fields.choice("output", OUTPUTS) or "diff"
        agent_of = self._agent_of()
        return {
            "agent": self._agent(agent_of),
            "agent_of": agent_of,
            "prompt": prompt.text if prompt else "",
            "output": output,
            "context": self._context(),
            "session": self._session(),
            "guard": self._guard(output),
            "max_budget": fields.dollars("max_budget"),
            "allow_no_change": self._allowed("allow_no_change", "diff", output),
            "allow_empty": self._allowed("allow_empty", "plan", output),
        }

    def _allowed(self, key: str, only: str, output: str) -> bool:
        """Return a flag that has an effect only with one output mode."""
        allowed = bool(self._fields.flag(key))
        if allowed and output != only:
            self._fields.refuse_key(key, f"'{key}' has no effect on a step with 'output: {output}'", "leave it out")
        return allowed

    def _agent(self, agent_of: AgentOf | None) -> str | None:
        if agent_of is not None:
            return ""
        name = self._fields.text("agent")
        if name is not None:
            self._around.check_agent(name, self._fields.values["agent"])
        return name

    def _agent_of(self) -> AgentOf | None:
        """Return the step or the input that `agent` refers to; None if it is the name of an agent."""
        node = self._fields.get("agent")
        text = node.value if isinstance(node, ScalarNode) else None
        if not isinstance(text, str) or "{" not in text:
            return None
        name = only_name(text)
        split = split_state(name)
        if name not in BASE_NAMES and name_error(name) is None:
            return AgentOf("", input=name)
        if split is None or split[1] != "agent":
            hint = "write the name of an agent, or exactly '{steps.STEP.agent}' or '{INPUT}'"
            self._fields.refuse_value("agent", f"'agent' cannot be {quoted(text)}", hint)
        return AgentOf(split[0] if split is not None else "")

    def _approval(self) -> dict[str, Any]:
        from pytest_gump.workflow.reading.read_approval import read_approval, read_hitl  # late: few steps have it

        if self._kind == "approve":
            return {"approve": read_approval(self._fields, self._around.problems)}
        return {} if self._kind == "unclear" else {"hitl": read_hitl(self._fields, self._around.problems)}

    def _children(self) -> tuple[PlacedStep, ...]:
        nodes = self._fields.nodes("steps")
        if nodes == ():
            self._fields.refuse_value("steps", "'steps' is empty")
        return read_steps(nodes or (), self._names, self._below)

    def _check_empty_gate(self) -> None:
        if self._kind != "agent" and self._fields.nodes("gate") == ():
            so = "the step does nothing" if self._kind == "gate" else "it checks nothing"
            self._fields.refuse_value("gate", f"'gate' is empty, so {so}")

    def _guard(self, output: str) -> Guard:
        timeout = self._fields.duration("timeout")
        fields = self._fields.mapping("guard", GUARD_KEYS)
        if fields is None:
            return Guard(max_time=timeout)
        if "max_time" in fields and "timeout" in self._fields:
            hint = "they are the same limit: keep one"
            fields.refuse_key("max_time", "both 'guard.max_time' and 'timeout' are set", hint)
        no_write = fields.flag("no_write")
        if no_write is False and output != "diff":
            hint = "leave it out"
            fields.refuse_key("no_write", f"'no_write: false' has no effect on a step with 'output: {output}'", hint)
        return Guard(
            max_turns=fields.whole("max_turns"),
            max_budget=fields.dollars("max_budget"),
            max_tokens=fields.whole("max_tokens"),
            max_time=fields.duration("max_time") or timeout,
            no_write=no_write,
        )

    def _session(self) -> SessionMode:
        node = self._fields.get("session")
        if node is None:
            return FRESH
        if isinstance(node, MapNode):
            return self._session_of_step()
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value.startswith(("reuse:", "fork:")):
            word, _, step = node.value.partition(":")
            hint = f"write {{{word}: {step.strip()}}} without quotes"
            self._around.problems.add(node.position, f"unknown session {quoted(node.value)}", hint)
            return FRESH
        mode = self._fields.choice("session", SESSION_WORDS)
        return FRESH if mode is None else SessionMode(mode=cast("Any", mode))

    def _context(self) -> tuple[ContextEntry, ...]:
        if "context" not in self._fields:
            return ()
        from pytest_gump.workflow.reading.read_context import read_context  # most steps have none

        context = read_context(self._fields, self._names, self._around)
        self._texts += context.texts
        self._before = context.calls
        return context.entries

    def _session_of_step(self) -> SessionMode:
        kinds = (*keys.keys(keys.SessionOf), *keys.keys(keys.SessionCopy))
        below = self._fields.mapping("session", kinds)
        given = [kind for kind in kinds if below is not None and kind in below]
        if below is not None and len(given) != 1:
            below.refuse("a session mapping must be {reuse: STEP} or {fork: STEP}")
        if below is None or not given:
            return FRESH
        return SessionMode(mode=cast("Any", given[0]), step=below.text(given[0]))
