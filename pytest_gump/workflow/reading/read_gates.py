"""Reads `gate:` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.text import quoted
from pytest_gump.workflow.model import VALIDATE, GateSpec
from pytest_gump.workflow.reading.fields import to_float
from pytest_gump.workflow.reading.read_validator import read_options, read_short
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.located import Kind, PlacedValidator, Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import Node

PLAIN_GATES: Final = ("compile", "test", "lint", "tests_found")
ARGUMENT_GATES: Final = {
    "coverage": "coverage: 80",
    "touched": "touched: '@tests'",
    "untouched": "untouched: '@tests'",
    "bash": "bash: make check",
}
BUILTIN_GATES: Final = (*PLAIN_GATES, *ARGUMENT_GATES, "schema")
REPORTS: Final = ("plan", "review")
CHANGE_GATES: Final = ("touched", "untouched", "tests_found")


class GateReader:
    """Reads the gates of one step."""

    def __init__(self, fields: Fields, around: Surroundings, *, kind: Kind, output: str) -> None:
        self._fields, self._around = fields, around
        self._problems = around.problems
        self._kind, self._output = kind, output
        self.validators: list[PlacedValidator] = []

    def read(self) -> tuple[GateSpec, ...]:
        nodes = self._fields.nodes("gate") or ()
        return tuple(gate for node in nodes if (gate := self._gate(node)) is not None)

    def _gate(self, node: Node) -> GateSpec | None:
        if isinstance(node, MapNode):
            return self._from_map(node)
        if isinstance(node, ListNode) or not isinstance(node.value, str) or not node.value.strip():
            self._problems.add(node.position, f"a gate must be a name or 'name: argument', not {describe(node)}")
            return None
        name, _, argument = node.value.partition(":")
        return self._checked(name.strip(), argument.strip() or None, node)

    def _from_map(self, node: MapNode) -> GateSpec | None:
        if VALIDATE in node.values:
            return self._add(read_options(node, self._taken, self._around))
        if len(node.values) != 1:
            what = f"a gate must be one 'name: argument', not {len(node.values)} of them"
            self._problems.add(node.position, what, "start a new line with '- '")
            return None
        name, value = next(iter(node.values.items()))
        if not isinstance(value, ScalarNode):
            what = f"the argument of gate {quoted(name)} must be text or a number, not {describe(value)}"
            self._problems.add(value.position, what)
            return None
        return self._checked(name, value.text.strip() if value.value is not None else None, node.key(name))

    def _checked(self, name: str, argument: str | None, at: Node) -> GateSpec | None:
        if name == VALIDATE:
            return self._add(read_short(argument, at, self._taken, self._around))
        if name in self._around.gates:
            return GateSpec(name=name, argument=argument)
        if name not in BUILTIN_GATES:
            known = (*BUILTIN_GATES, *sorted(self._around.gates))
            self._problems.add(at.position, f"unknown gate {quoted(name)}", self._problems.suggest(name, known))
            return None
        for problem in (_argument_problem(name, argument), self._effect_problem(name, argument)):
            if problem is not None:
                self._problems.add(at.position, *problem)
        return GateSpec(name=name, argument=argument)

    def _add(self, validator: PlacedValidator | None) -> GateSpec | None:
        if validator is None:
            return None
        self.validators.append(validator)
        return validator.gate

    @property
    def _taken(self) -> list[str]:
        return [validator.step.name for validator in self.validators]

    def _effect_problem(self, name: str, argument: str | None) -> Mistake | None:
        is_agent, output = self._kind == "agent", self._output
        if name in CHANGE_GATES and is_agent and output != "diff":
            what = f"gate '{name}' checks changed files, but a step with 'output: {output}' changes none"
            return what, "use it on a step with 'output: diff'"
        if name != "schema":
            return None
        if self._kind in ("gate", "group", "call") or (is_agent and output not in REPORTS):
            hint = "it belongs to a step with 'output: plan' or 'output: review'"
            return "gate 'schema' has nothing to check here", hint
        if is_agent and argument in REPORTS and argument != output:
            return f"gate 'schema: {argument}' does not fit 'output: {output}'", "write 'schema'"
        return None


def _argument_problem(name: str, argument: str | None) -> Mistake | None:
    if argument is None:
        needed = ARGUMENT_GATES.get(name)
        return None if needed is None else (f"gate '{name}' needs an argument", f'for example "{needed}"')
    if name in PLAIN_GATES:
        return f"gate '{name}' takes no argument", "for another command write 'bash: COMMAND'"
    if name == "coverage" and not 0 <= to_float(argument) <= 100:
        return f"gate 'coverage' needs a number from 0 to 100, not {quoted(argument)}", None
    if name == "schema" and argument not in REPORTS:
        return f"gate 'schema' checks 'plan' or 'review', not {quoted(argument)}", None
    if name in ("touched", "untouched") and (wrong := glob_error(argument)):
        return f"invalid pattern {quoted(argument)}: {wrong}", None
    return None


def glob_error(pattern: str) -> str | None:
    """Return what is wrong with a gitignore-style pattern; None if it is valid."""
    if pattern.startswith("!"):
        return "a pattern that starts with '!' matches nothing by itself"
    if pattern.startswith("#"):
        return "a pattern that starts with '#' is a comment"
    if ".." in pattern.split("/"):
        return "'..' leaves the project"
    if pattern.strip("/") == "":
        return "it names no file"
    if pattern.endswith("\\"):
        return "it ends with a backslash"
    return "'[' is not closed" if _has_open_bracket(pattern) else None


def _has_open_bracket(pattern: str) -> bool:
    index = 0
    while (start := pattern.find("[", index)) >= 0:
        if start and pattern[start - 1] == "\\":
            index = start + 1
            continue
        first = start + 2 if pattern[start + 1 : start + 2] in ("!", "^") else start + 1
        end = pattern.find("]", first + 1)
        if end < 0:
            return True
        index = end + 1
    return False
