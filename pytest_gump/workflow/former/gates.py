"""Translates `gate:` lists of Gump 0.0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.text import quoted
from pytest_gump.workflow.former.new_nodes import Pair, listing, mapping
from pytest_gump.workflow.former.texts import PLAIN_NAMES, TASK_FIELDS, TOKEN
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.former.texts import Texts, Where
    from pytest_gump.workflow.reading.yaml_nodes import Node

VALIDATE: Final = "validate"
SEEN: Final = ("diff", "spec")
"""Values that a validator sees without an input: the change of the step, and the spec."""
_KNOWN: Final = frozenset({*PLAIN_NAMES, *(f"task.{field}" for field in TASK_FIELDS)})
_HINTS: Final = {
    "task.files": "a plan could insert shell code; a command has the files in $GUMP_ITEM_FILES",
    "task.name": "a plan could insert shell code; a command has the name in $GUMP_ITEM_NAME",
    "attempt": "a command has the number in $GUMP_ATTEMPT_NUMBER",
}
_HINT: Final = "text of an agent or a spec is never part of a command or a pattern"


class Gate(NamedTuple):
    """A gate as the original writes it."""

    name: str
    argument: ScalarNode | None
    text: str


class GateNames(NamedTuple):
    """The names that the original gives to the gates of a step, in `not: gate.NAME` and `{gate.NAME}`."""

    plain: frozenset[str]
    """Gates without an argument that the step has once. They have the same name here."""
    validators: dict[str, str]
    """Validators by the last word of their name: `validators/arch-review` by `review`."""

    @property
    def here(self) -> dict[str, str]:
        """The names of the gates here, by their names in the original."""
        validators = {word: name.rpartition("/")[2] for word, name in self.validators.items()}
        return {**{name: name for name in sorted(self.plain)}, **validators}


def gate_names(node: Node | None) -> GateNames:
    gates = [gate for entry in _entries(node) if (gate := _gate(entry)) is not None]
    names = [gate.name for gate in gates]
    plain = {gate.name for gate in gates if not gate.text and names.count(gate.name) == 1}
    called = [gate.text for gate in gates if gate.name == VALIDATE and gate.text]
    last_parts = [text.rpartition("/")[2].rpartition("-")[2] for text in called]
    named = zip(last_parts, called, strict=True)
    validators = {word: text for word, text in named if last_parts.count(word) == 1}
    return GateNames(frozenset(plain - {VALIDATE}), validators)


def translate_gates(node: Node, texts: Texts, where: Where) -> Node:
    """Return the list in the current form. What is wrong with a gate is left to the reader of that form."""
    if not isinstance(node, ListNode):
        return node
    return listing((_translated(entry, texts, where) for entry in node.nodes), node)


def _entries(node: Node | None) -> tuple[Node, ...]:
    return node.nodes if isinstance(node, ListNode) else ()


def _gate(node: Node) -> Gate | None:
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        name, _, argument = node.value.partition(":")
        return Gate(name.strip(), node, argument.strip())
    if isinstance(node, MapNode) and node.values:
        name = VALIDATE if VALIDATE in node.values else next(iter(node.values))
        value = node.values[name]
        if isinstance(value, ScalarNode):
            return Gate(name, value, value.text.strip() if value.value is not None else "")
    return None


def _translated(node: Node, texts: Texts, where: Where) -> Node:
    gate = _gate(node)
    if gate is None:
        return node
    if gate.name == VALIDATE and isinstance(node, MapNode):
        return _validator(node, texts, where)
    for name in _names(gate, texts, where):
        what = f"gate {quoted(gate.name)} names {{{name}}}, but the argument of a gate is not a template here"
        texts.problems.add((gate.argument or node).position, what, _HINTS.get(name, _HINT))
    return node


def _names(gate: Gate, texts: Texts, where: Where) -> Iterator[str]:
    """Yield the templates of an argument. `{word}` may as well be a part of a command or a pattern."""
    for match in TOKEN.finditer(gate.text):
        name = match["name"]
        if name is None or gate.text[: match.start()].endswith("$"):
            continue
        is_step = "." in name and texts.outline.find(where.scope, tuple(name.rpartition(".")[0].split("/")))
        if name in _KNOWN or name.startswith(("prev.", "gate.")) or is_step:
            yield name


def _validator(node: MapNode, texts: Texts, where: Where) -> MapNode:
    pairs = [Pair(VALIDATE, node.key(VALIDATE), node.values[VALIDATE])]
    given = [key for key in SEEN if (value := node.values.get(key)) and _is_name(value, key)]
    inputs = translate_inputs(node, (VALIDATE, *given), texts, where)
    if inputs.values:
        pairs.append(Pair("with", node, inputs))
    return mapping(pairs, node)


def _is_name(node: Node, name: str) -> bool:
    return isinstance(node, ScalarNode) and node.text.strip() == f"{{{name}}}"


def translate_inputs(node: MapNode, without: tuple[str, ...], texts: Texts, where: Where) -> MapNode:
    """Return the inputs of a call: all keys of a mapping, except `without`."""
    for key in node.values:
        if key in PLAIN_NAMES and key not in without:
            what = f"input '{key}' has the name of a built-in value here"
            texts.problems.add(node.key(key).position, what, "rename it, here and in the called workflow")

    def value_of(value: Node) -> Node:
        is_text = isinstance(value, ScalarNode) and isinstance(value.value, str)
        return texts.text(value, where._replace(is_input=True)) if is_text and isinstance(value, ScalarNode) else value

    values = ((key, value) for key, value in node.values.items() if key not in without)
    return mapping((Pair(key, node.key(key), value_of(value)) for key, value in values), node)
