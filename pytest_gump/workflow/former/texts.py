"""Translates the templates of Gump 0.0.4."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.errors import nearest
from pytest_gump.text import quoted
from pytest_gump.workflow.former.new_nodes import scalar
from pytest_gump.workflow.reading.located import Templated
from pytest_gump.workflow.reading.read_step import name_error
from pytest_gump.workflow.reading.rules_templates import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.workflow.former.outline import FormerStep, Outline, Path
    from pytest_gump.workflow.problems import Mistake, Position, Problems
    from pytest_gump.workflow.reading.yaml_nodes import ScalarNode

_WORD: Final = "[A-Za-z0-9_][A-Za-z0-9_-]*+"
TOKEN: Final = re.compile(rf"\{{\{{|\}}\}}|\{{(?P<name>{_WORD}(?:[./]{_WORD})*+)\}}")
PLAIN_NAMES: Final = ("spec", "error", "diff", "attempt", "output")
PREV_FIELDS: Final = {"output": "output", "diff": "diff", "comments": "comment"}
TASK_FIELDS: Final = ("name", "description", "files")
FIELDS: Final = (
    "output", "comments", "files", "status", "session_id", "agent", "cost", "turns", "duration", "retries", "tokens_in",
    "tokens_out",
)  # fmt: skip
_RENAMED: Final = {
    "diff": "write {STEP.output}, which has the same value",
    "attempt": None,
    "check_result": "write {STEP.status}: it is passed, failed or running here",
    "cache_read": "it is included in {STEP.tokens_in}",
    "cache_write": "it is included in {STEP.tokens_in}",
}
_EMPTY: Final = {
    "item": "write {task.name}, {task.description} or {task.files}",
    "steps": "write {STEP.FIELD}",
    "run": None,
}
"""First parts of names that Gump 0.0.4 replaces by an empty text, each with a hint."""
_OF_ATTEMPTS: Final = ("error", "attempt", "prev", "gate")
"""First parts of names about the attempts of a step."""
_FIRST_PARTS: Final = ("task", "prev", "gate", *_EMPTY)
_TASKS_HINT: Final = "the tasks are known only when the run has made its plan"


class Where(NamedTuple):
    """Where a template is."""

    scope: Path
    splits: int = 0
    """Number of splits around it."""
    gates: Mapping[str, str] = {}
    """Names of the step's gates here, by their names in the original."""
    is_input: bool = False
    """True for the value of an input of a called workflow or validator."""


@dataclass(slots=True)
class Texts:
    """Translates the templates of one file, and collects the inputs that they name."""

    outline: Outline
    problems: Problems
    source: str
    inputs: dict[str, None] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)
    """The inputs that are agents. An agent has no default."""

    def text(self, node: ScalarNode, where: Where, file: Templated | None = None) -> ScalarNode:
        """Return the text of a node, or of the prompt file that it names, with the names of the current language."""
        templated = file or Templated(node.text, node)
        parts: list[str] = []
        end = 0
        for match in TOKEN.finditer(templated.text):
            name = match["name"]
            if name is not None:
                at = partial(locate, templated, name, match.start(), self.source)
                parts += [templated.text[end : match.start()], f"{{{self._name(name, where, at, templated.file)}}}"]
                end = match.end()
        text = "".join((*parts, templated.text[end:]))
        return node if file is None and text == templated.text else scalar(text, node)

    def _name(self, name: str, where: Where, at: Callable[[], Position], path: str | None) -> str:
        if where.is_input and name.partition(".")[0] in _OF_ATTEMPTS:
            what = f"{{{name}}} has no value in an input of a workflow"
            self.problems.add(at(), what, "use it in the prompt of the step", path=path)
            return name
        if name in PLAIN_NAMES:
            return name
        is_input = not re.search("[./]", name)
        result = self._input(name, at) if is_input else self._dotted(name, where, at)
        if isinstance(result, str):
            return result
        self.problems.add(at(), *result, path=path)
        return name

    def _input(self, name: str, at: Callable[[], Position]) -> str | Mistake:
        if name in _FIRST_PARTS:
            return f"{{{name}}} needs a field", f"write {{{name}.FIELD}}; for literal braces write {{{{{name}}}}}"
        if name not in self.inputs:
            if wrong := name_error(name):
                return f"input name {quoted(name)} {wrong}", f"for literal braces write {{{{{name}}}}}"
            self.inputs[name] = None
            if near := nearest(name, PLAIN_NAMES):
                what = f"{{{name}}} is not a name of Gump 0.0.4, so it is an input of this workflow"
                self.problems.note(at(), what, f"did you mean {{{near[0]}}}?")
        return name

    def _dotted(self, name: str, where: Where, at: Callable[[], Position]) -> str | Mistake:
        first, _, rest = name.partition(".")
        if first == "task":
            return _task(name, rest, where)
        if first == "prev":
            return _previous(name, rest, where)
        if first == "gate":
            return _gate(name, rest, where)
        if first in _EMPTY:
            return f"{{{name}}} has no value in Gump 0.0.4", _EMPTY[first]
        return self._step(name, where, at)

    def _step(self, name: str, where: Where, at: Callable[[], Position]) -> str | Mistake:
        ref, _, state = name.rpartition(".")
        if not ref:
            hint = f"write {{STEP.FIELD}}; for literal braces write {{{{{name}}}}}"
            return f"{{{name}}} names no field of a step", hint
        ref, _, inner = ref.partition(".state.")
        reference = tuple(ref.split("/"))
        found = self.outline.find(where.scope, reference)
        if found is None:
            return self._unknown(name, where, reference)
        mistake = _field_mistake(name, state, found, is_inner=bool(inner))
        if mistake is not None:
            return mistake
        if found.splits > where.splits:
            return f"{{{name}}} names a step of {quoted(found.path[-2])}, which runs once for each task", _TASKS_HINT
        if len(reference) == 1 and not self.outline.is_visible(where.scope, found):
            self.problems.note(at(), f"{{{name}}} is empty in Gump 0.0.4; here it has the value of that step")
        path = (*self.outline.reference(where.scope, found), *(inner.replace("/", ".").split(".") if inner else ()))
        return ".".join(("steps", *path, "comment" if state == "comments" else state))

    def _unknown(self, name: str, where: Where, reference: Path) -> Mistake:
        split = next((found for found in self.outline.steps.values() if found.path == reference[:1]), None)
        if split is not None and split.kind == "split" and len(reference) > 1:
            return f"{{{name}}} names one task of {quoted(reference[0])}", _TASKS_HINT
        known = [path[-1] for path in self.outline.steps if len(path) == 1 or path[:-1] == where.scope[:-1]]
        hint = self.problems.suggest(reference[-1], dict.fromkeys(known), label="steps")
        return f"{{{name}}} names {quoted('/'.join(reference))}, which does not exist", hint


def _task(name: str, rest: str, where: Where) -> str | Mistake:
    if rest not in TASK_FIELDS:
        return f"unknown field {quoted(rest)} in {{{name}}}", f"fields: {', '.join(TASK_FIELDS)}"
    if not where.splits:
        return f"{{{name}}} has a value only inside 'each'", "move the step into the 'each' of a split"
    return f"item.{rest}"


def _previous(name: str, rest: str, where: Where) -> str | Mistake:
    if rest in PREV_FIELDS:
        return f"prev.{PREV_FIELDS[rest]}"
    if rest.startswith("gate."):
        return _gate(name, rest.removeprefix("gate."), where)
    what = f"{{{name}}} has no value here: the attempt before has only {', '.join(PREV_FIELDS)}"
    return what, "{error} says what failed"


def _gate(name: str, rest: str, where: Where) -> str | Mistake:
    gate, _, part = rest.partition(".")
    if gate not in where.gates:
        what = f"{{{name}}} names gate {quoted(gate)}, which the step does not have without an argument and only once"
        return what, f"its gates: {', '.join(where.gates)}" if where.gates else "the step has no such gates"
    if part == "error":
        return "error"
    if part == "comments":
        return "prev.comment"
    if not part:
        return f"gate.{where.gates[gate]}"
    return f"{{{name}}} has no value here", f"write {{gate.{gate}}}: the summary of the gate, or {{error}}"


def _field_mistake(name: str, state: str, found: FormerStep, *, is_inner: bool) -> Mistake | None:
    if is_inner and found.kind != "call":
        return f"{{{name}}} names {quoted(found.path[-1])}, which calls no workflow", None
    if state in _RENAMED:
        return f"{{{name}}} has no value here", _RENAMED[state]
    if found.kind == "validate" and state == "output" and not is_inner:
        return (
            f"{{{name}}} is true or false in Gump 0.0.4, and has no value here",
            f"write {{{name[:-6]}comments}}",
        )
    if state not in FIELDS:
        return f"unknown field {quoted(state)} in {{{name}}}", f"fields: {', '.join(FIELDS)}"
    return None
