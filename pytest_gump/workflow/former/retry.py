"""Reads `retry:` lists of Gump 0.0.4."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.text import quoted
from pytest_gump.workflow.keys import MAX_ATTEMPTS
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.workflow.former.gates import GateNames
    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.yaml_nodes import Node

CONDITIONS: Final = ("attempt", "not", "validate", "exit")
OVERRIDES: Final = ("agent", "session", "worktree", "prompt")
_VALIDATE: Final = "validate"


@dataclass(frozen=True, slots=True)
class Values:
    """What a rule changes: the agent, the conversation, the files and the prompt of an attempt."""

    agent: ScalarNode | None = None
    session: Node | None = None
    worktree: Node | None = None
    prompt: ScalarNode | None = None

    def __or__(self, other: Values) -> Values:
        """Return these values, replaced by those of a later rule."""
        return Values(
            other.agent or self.agent,
            other.session or self.session,
            other.worktree or self.worktree,
            other.prompt or self.prompt,
        )


@dataclass(slots=True)
class Rule:
    node: MapNode
    values: Values
    attempt: int | None = None
    failing: tuple[str, str] | None = None
    """Key and value of the condition here: `gate` or `validate`, and a name."""


@dataclass(slots=True)
class Retry:
    """A `retry:` list, read."""

    at: Node
    attempts: Node
    """The greatest `exit`."""
    last: int
    rules: list[Rule] = field(default_factory=list)

    @property
    def failing(self) -> list[Rule]:
        """The rules about a failing gate."""
        return [rule for rule in self.rules if rule.failing is not None]

    @property
    def is_sticky(self) -> bool:
        """True if a `strategy` cannot express the rules.

        It can express that one failing gate changes the agent, if all other values stay the same from attempt 2 on.
        """
        failing = self.failing
        others = [rule for rule in self.rules if rule.failing is None]
        is_simple = len(failing) == 1 and failing[0].values == Values(agent=failing[0].values.agent)
        is_constant = all((rule.attempt or 0) <= 2 and rule.values.agent is None for rule in others)
        return bool(failing) and not (is_simple and is_constant)


class RetryReader:
    """Reads the rules of one step."""

    def __init__(self, problems: Problems, gates: GateNames, prompt: Callable[[Fields], ScalarNode | None]) -> None:
        self._problems, self._gates, self._prompt = problems, gates, prompt

    def read(self, step: Fields) -> Retry | None:
        nodes, before = step.nodes("retry"), len(self._problems.found)
        if nodes is None:
            return None
        exits: list[tuple[int, Node]] = []
        rules: list[Rule] = []
        for node in nodes:
            rule = self._rule(node, exits)
            if rule is not None:
                rules.append(rule)
        self._check_order(rules)
        if len(self._problems.found) > before:
            return None
        if not exits:
            step.refuse_value("retry", "'retry' has no 'exit'", "write '- exit: N' with the number of attempts")
            return None
        last, node = max(exits, key=lambda entry: entry[0])
        return Retry(step.node.key("retry"), node, last, [rule for rule in rules if self._is_reached(rule, last)])

    def _rule(self, node: Node, exits: list[tuple[int, Node]]) -> Rule | None:
        if not isinstance(node, MapNode):
            self._problems.add(node.position, f"a rule of 'retry' must be a mapping, not {describe(node)}")
            return None
        fields = Fields(node, (*CONDITIONS, "with", *OVERRIDES), self._problems)
        given = [key for key in CONDITIONS if key in fields]
        if len(given) != 1:
            what = " and ".join(f"'{key}'" for key in given) or "no condition"
            hint = "a rule has one condition: attempt, not, validate or exit"
            fields.refuse(f"a rule of 'retry' has {what}", hint)
            return None
        if given == ["exit"]:
            self._exit(fields, exits)
            return None
        return self._with_values(fields, given[0])

    def _exit(self, fields: Fields, exits: list[tuple[int, Node]]) -> None:
        for key in fields.values:
            if key != "exit" and key in (*OVERRIDES, "with"):
                fields.refuse_key(key, f"'{key}' has no effect in a rule with 'exit'", "move it into another rule")
        number = fields.whole("exit", most=MAX_ATTEMPTS)
        if number is not None:
            exits.append((number, fields.values["exit"]))

    def _with_values(self, fields: Fields, condition: str) -> Rule | None:
        if condition == _VALIDATE:
            what = "'validate' in 'retry' is not supported: in Gump 0.0.4, such a rule fits if a workflow passes"
            fields.refuse_key(_VALIDATE, what, "let a rule with 'attempt: N' or 'not: gate.NAME' change the attempt")
            return None
        if "with" in fields:
            fields.refuse_key("with", "'with' without 'validate'")
        rule = Rule(fields.node, self._values(fields))
        if condition == "attempt":
            rule.attempt = fields.whole("attempt", most=MAX_ATTEMPTS)
        else:
            rule.failing = self._gate(fields)
        return rule

    def _values(self, fields: Fields) -> Values:
        values: dict[str, Any] = {"prompt": self._prompt(fields) if "prompt" in fields else None}
        agent = fields.get("agent")
        if fields.text("agent") is not None and isinstance(agent, ScalarNode):
            if "{" in agent.text or agent.text == "pass":
                what = f"a rule of 'retry' cannot name the agent {quoted(agent.text)}"
                fields.refuse_value("agent", what, "write the name of an agent")
            values["agent"] = agent
        for key, word in (("session", "new"), ("worktree", "reset")):
            if fields.choice(key, (word,)) is not None:
                values[key] = fields.values[key]
        if not any(key in fields for key in OVERRIDES):
            self._problems.note(fields.position, "this rule of 'retry' changes nothing", "leave it out")
        return Values(**values)

    def _gate(self, fields: Fields) -> tuple[str, str] | None:
        written = fields.text("not")
        if written is None:
            return None
        name = written.removeprefix("gate.")
        if name == written:
            fields.refuse_value("not", f"'not' must be gate.NAME, not {quoted(written)}")
        elif name in self._gates.plain:
            return "gate", name
        elif name in self._gates.validators:
            return _VALIDATE, self._gates.validators[name]
        else:
            known = (*sorted(self._gates.plain), *sorted(self._gates.validators))
            hint = self._problems.suggest(name, known, label="gates") if known else "the step has no such gate"
            what = f"'not' names gate {quoted(name)}, which the step does not have without an argument and only once"
            fields.refuse_value("not", what, hint)
        return None

    def _check_order(self, rules: list[Rule]) -> None:
        counted = [rule for rule in rules if rule.attempt is not None]
        for before, after in pairwise(counted):
            if (after.attempt or 0) <= (before.attempt or 0):
                what = f"'attempt: {after.attempt}' comes after 'attempt: {before.attempt}'"
                self._problems.add(after.node.key("attempt").position, what, "write the rules in ascending order")

    def _is_reached(self, rule: Rule, last: int) -> bool:
        if rule.attempt is None or rule.attempt <= last:
            return True
        what = f"'attempt: {rule.attempt}' is never used: the last attempt is {last}"
        self._problems.note(rule.node.position, what, "raise 'exit', or leave the rule out")
        return False
