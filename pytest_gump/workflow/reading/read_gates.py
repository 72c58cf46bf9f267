"""Reading `gate:` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.text import quoted
from pytest_gump.workflow.model import GateSpec
from pytest_gump.workflow.reading.fields import to_float
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.located import Kind, Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import Node

PLAIN_GATES: Final = ("compile", "test", "lint", "tests_found")
ARGUMENT_GATES: Final = {
    "coverage": "coverage: 80",
    "touched": "touched: '@tests'",
    "untouched": "untouched: '@tests'",
    "bash": "bash: make check",
}
BUILTIN_GATES: Final = (*PLAIN_GATES, *ARGUMENT_GATES, "schema")
COMMAND_GATES: Final = {name: GateSpec(name) for name in ("compile", "test", "lint")}
"""Gates that fit every step, as nearly all of them are written."""
CHANGE_GATES: Final = ("touched", "untouched", "tests_found")


class GateReader:
    """Reads the gates of one step."""

    def __init__(self, fields: Fields, around: Surroundings, *, kind: Kind, output: str) -> None:
        self._fields, self._around = fields, around
        self._problems = around.problems
        self._kind, self._output = kind, output

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
        if len(node.values) != 1:
            self._problems.add(
                node.position,
                f"a gate must be one 'name: argument', not {len(node.values)} of them",
                "start a new line with '- '",
            )
            return None
        name, value = next(iter(node.values.items()))
        if not isinstance(value, ScalarNode):
            self._problems.add(
                value.position, f"the argument of gate {quoted(name)} must be text or a number, not {describe(value)}"
            )
            return None
        return self._checked(name, value.text.strip() if value.value is not None else None, node.key(name))

    def _checked(self, name: str, argument: str | None, at: Node) -> GateSpec | None:
        if argument is None and name in COMMAND_GATES:
            return COMMAND_GATES[name]
        if name == "validate":
            self._problems.add(at.position, "gate 'validate' is not supported yet", "use a step with 'output: review'")
            return None
        if name in self._around.gates:
            return GateSpec(name=name, argument=argument)
        if name not in BUILTIN_GATES:
            known = (*BUILTIN_GATES, *sorted(self._around.gates))
            self._problems.add(at.position, f"unknown gate {quoted(name)}", self._problems.suggest(name, known))
            return None
        self._check_argument(name, argument, at)
        self._check_effect(name, argument, at)
        return GateSpec(name=name, argument=argument)

    def _check_argument(self, name: str, argument: str | None, at: Node) -> None:
        if name in PLAIN_GATES and argument is not None:
            self._problems.add(
                at.position, f"gate '{name}' takes no argument", "for another command write 'bash: COMMAND'"
            )
        elif name in ARGUMENT_GATES and argument is None:
            self._problems.add(at.position, f"gate '{name}' needs an argument", f'for example "{ARGUMENT_GATES[name]}"')
        elif argument is None:
            return
        elif name == "coverage" and not 0 <= to_float(argument) <= 100:
            self._problems.add(at.position, f"gate 'coverage' needs a number from 0 to 100, not {quoted(argument)}")
        elif name == "schema" and argument not in ("plan", "review"):
            self._problems.add(at.position, f"gate 'schema' checks 'plan' or 'review', not {quoted(argument)}")
        elif name in ("touched", "untouched") and (wrong := glob_error(argument)):
            self._problems.add(at.position, f"bad glob {quoted(argument)}: {wrong}")

    def _check_effect(self, name: str, argument: str | None, at: Node) -> None:
        if name == "schema":
            self._check_schema(argument, at)
        elif name in CHANGE_GATES and self._kind == "agent" and self._output != "diff":
            self._problems.add(
                at.position,
                f"gate '{name}' looks at changed files, and a step with 'output: {self._output}' changes none",
                "use it on a step with 'output: diff'",
            )

    def _check_schema(self, argument: str | None, at: Node) -> None:
        if self._kind in ("gate", "group") or (self._kind == "agent" and self._output not in ("plan", "review")):
            self._problems.add(
                at.position,
                "gate 'schema' has nothing to check here",
                "it belongs to a step with 'output: plan' or 'output: review'",
            )
        elif self._kind == "agent" and argument in ("plan", "review") and argument != self._output:
            self._problems.add(
                at.position, f"gate 'schema: {argument}' does not fit 'output: {self._output}'", "write 'schema'"
            )


def glob_error(pattern: str) -> str | None:
    """Say why a gitignore-style pattern can never match as meant; None when it can."""
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
