"""Reads `gate:` lists: names with an argument, and the workflows that `validate` gates call."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES
from pytest_gump.workflow.model import VALIDATE, GateSpec, Step, ValidatorOptions
from pytest_gump.workflow.reading.fields import Fields, to_float
from pytest_gump.workflow.reading.located import PlacedValidator
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode, describe
from pytest_gump.workflow.refs import iter_steps
from pytest_gump.workflow.template import VALUE_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_gump.workflow.problems import Mistake
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
REPORTS: Final = ("plan", "review")
GROUP: Final = "validate-"
"""Start of the name of a validator's group."""
_NEEDED: Final = "gate 'validate' needs a workflow", 'for example "validate: arch-review"'
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
            return self._validate(node)
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
            return self._validator(argument, at, None, ValidatorOptions())
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

    def _validate(self, node: MapNode) -> GateSpec | None:
        """Read `{validate: NAME, with: {...}, independent: true}`."""
        fields = Fields(node, keys.keys(keys.ValidateKeys), self._problems)
        options = ValidatorOptions(independent=bool(fields.flag("independent")))
        given = fields.get(VALIDATE)
        if isinstance(given, ScalarNode) and given.value is None:
            return self._validator(None, node.key(VALIDATE), None, options)
        name = fields.text(VALIDATE)
        if name is None or given is None:
            return None
        return self._validator(name.strip(), given, fields.get("with"), options)

    def _validator(self, name: str | None, at: Node, inputs: Node | None, options: ValidatorOptions) -> GateSpec | None:
        from pytest_gump.workflow.reading.read_call import call_of  # most workflows have no validators

        if name is None:
            self._problems.add(at.position, *_NEEDED)
            return None
        names = (*VALUE_NAMES, "output") if self._kind == "agent" else VALUE_NAMES
        called = call_of(name, at.position, inputs, self._around, names=names)
        if called is None:
            return None
        steps = called.loaded.workflow.steps
        for problem in _problems(name, steps):
            self._problems.add(at.position, *problem)
        values, inputs_of = called.call.values, called.call.inputs
        given = tuple((input_, text) for input_, text in values.items() if text != inputs_of[input_].default)
        taken = [validator.step.name for validator in self.validators]
        step = Step(_free_name(name, taken), steps=steps, call=called.call)
        gate = GateSpec(VALIDATE, name, replace(options, inputs=given))
        self.validators.append(PlacedValidator(gate, step, called.loaded, called.texts, at, inputs))
        return gate

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


def _problems(name: str, steps: Sequence[Step]) -> Iterator[Mistake]:
    """Yield why a workflow cannot check a change."""
    if " (" in name:
        yield f"the path of validator {quoted(name)} contains ' ('", "rename it: in labels, options begin with '('"
    if not _ends_with_review(steps):
        yield f"the last step of validator {quoted(name)} is not a review", "end it with a step with 'output: review'"
    for names, step in iter_steps(steps):
        path = quoted("::".join(names))
        if step.kind == "agent" and step.output == "diff":
            hint = "give it 'output: review', 'plan' or 'artifact'"
            yield f"step {path} of validator {quoted(name)} changes files, but a validator only checks them", hint
        if step.validators:
            yield (
                f"step {path} of validator {quoted(name)} has a validator of its own",
                "call it in the same 'gate' list",
            )
        if step.approve is not None or step.hitl is not None:
            hint = "ask the person in a step after the checked one"
            yield f"step {path} of validator {quoted(name)} waits for a person", hint


def _ends_with_review(steps: Sequence[Step]) -> bool:
    last = steps[-1]
    if last.kind == "group":
        return not last.parallel and last.foreach is None and not last.gate and _ends_with_review(last.steps)
    return last.kind == "agent" and last.output == "review"


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return the name of a validator's group: `validate-arch-review`, with a number if it is taken."""
    last = name.rpartition("/")[2]
    for suffix in WORKFLOW_SUFFIXES:
        last = last.removesuffix(suffix)
    plain = GROUP + re.sub(r"[^A-Za-z0-9_]+", "-", last)[:40].strip("-")
    numbers = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(free for free in numbers if free not in taken)
