"""Reads `on_failure:`: retry counts, strategies and restarts, in both forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.model import Entry, OnFailure, Policy, StickyRule
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.located import PlacedPolicy, Templated
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from pytest_gump.workflow.model import When
    from pytest_gump.workflow.problems import Position
    from pytest_gump.workflow.reading.located import PlacedWhen, Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import Node

KINDS: Final = ("same", "escalate", "replan")
FLAT_KEYS: Final = keys.keys(keys.PolicyKeys)
BRANCH_KEYS: Final = keys.keys(keys.BranchKeys)
FAILURE_KEYS: Final = {**FLAT_KEYS, **BRANCH_KEYS}
ENTRY_KEYS: Final = (*KINDS, "session", "worktree", "prompt", "when")
RULES: Final = "rules"
"""Key of `on_failure` that only the translation writes. In a file it is unknown."""
RULE_KEYS: Final = ("attempt", "gate", "validate", "agent", "session", "worktree", "prompt")


EntryKind = Literal["same", "escalate", "replan"]


class ReadFailure(NamedTuple):
    """An `on_failure:` with its policies."""

    on_failure: OnFailure
    policies: tuple[PlacedPolicy, ...]
    fields: Fields


def read_failure(step: Fields, around: Surroundings) -> ReadFailure | None:
    fields = step.mapping("on_failure", (*FAILURE_KEYS, RULES) if around.is_translated else FAILURE_KEYS)
    if fields is None:
        return None
    if not fields.values:
        fields.refuse("'on_failure' is empty", "give it 'retry' or 'strategy', or leave it out")
        return None
    branches = [key for key in BRANCH_KEYS if key in fields.values]
    flat = [key for key in FLAT_KEYS if key in fields.values]
    if branches and flat:
        fields.refuse_key(
            flat[0],
            f"'{flat[0]}' and '{branches[0]}' cannot be combined: 'on_failure' has either one policy or branches",
            f"move '{flat[0]}' into the branches",
        )
    if not branches:
        placed = _read_policy(fields, around)
        return ReadFailure(OnFailure(flat=placed.policy), (placed,), fields)
    policies: dict[str, PlacedPolicy] = {}
    for key in branches:
        below = fields.mapping(key, FLAT_KEYS)
        if below is not None:
            policies[key] = _read_policy(below, around)
    on_failure = OnFailure(**{key: placed.policy for key, placed in policies.items()})
    return ReadFailure(on_failure, tuple(policies.values()), fields)


def _read_policy(fields: Fields, around: Surroundings) -> PlacedPolicy:
    retry = fields.whole("retry", most=keys.MAX_ATTEMPTS)
    strategy = _Strategy(around)
    strategy.read(fields)
    restart_from = fields.text("restart_from")
    if "restart_from" in fields and "retry" not in fields:
        fields.refuse_key("restart_from", "'restart_from' without 'retry' would never end", "add 'retry: N'")
    if not fields.values:
        fields.refuse("a policy needs 'retry' or 'strategy'")
    entries, adds_first = strategy.entries, strategy.adds_first
    if adds_first or not entries:
        entries = [Entry(), *entries]
    sticky = read_rules(fields, around)
    policy = Policy(retry or len(entries), tuple(entries), restart_from, adds_first, sticky.rules)
    return PlacedPolicy(
        policy,
        fields,
        tuple(strategy.kinds),
        tuple(strategy.resumed),
        (*strategy.prompts, *sticky.prompts),
        tuple(strategy.whens),
    )


@dataclass(slots=True)
class _Strategy:
    """Reads a `strategy:` list into its fields."""

    around: Surroundings
    entries: list[Entry] = field(default_factory=list)
    kinds: list[tuple[str, Node]] = field(default_factory=list)
    resumed: list[tuple[str, Node]] = field(default_factory=list)
    prompts: list[Templated] = field(default_factory=list)
    whens: list[PlacedWhen] = field(default_factory=list)

    @property
    def adds_first(self) -> bool:
        """True if the list does not have the first attempt."""
        return bool(self.entries) and (self.entries[0].kind != "same" or self.entries[0].when is not None)

    def read(self, fields: Fields) -> None:
        nodes = fields.nodes("strategy")
        if nodes == ():
            fields.refuse_value("strategy", "'strategy' is empty", "leave it out, or write [same]")
        for node in nodes or ():
            self._read_map(node) if isinstance(node, MapNode) else self._read_text(node)
            if len(self.entries) + self.adds_first > keys.MAX_ATTEMPTS:
                hint = "the first attempt counts too" if self.adds_first else None
                self._problem(node.position, f"a strategy has at most {keys.MAX_ATTEMPTS} attempts", hint)
                break

    def _problem(self, position: Position, message: str, hint: str | None = None) -> None:
        self.around.problems.add(position, message, hint)

    def _unknown(self, kind: str, position: Position) -> None:
        self._problem(position, f"unknown strategy {quoted(kind)}", self.around.problems.suggest(kind, KINDS))

    def _read_text(self, node: Node) -> None:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or not node.value.strip():
            forms = "'same', 'same: N', 'escalate: AGENT' or 'replan: AGENT'"
            self._problem(node.position, f"a strategy entry must be {forms}, not {describe(node)}")
            return
        kind, colon, argument = node.value.partition(":")
        kind, argument = kind.strip(), argument.strip()
        if kind == "same":
            self._add_same(self._count(argument, quoted(argument), node.position) if colon else 1, node, {})
        elif kind in ("escalate", "replan"):
            self._add_agent(cast("EntryKind", kind), argument, node, {})
        else:
            self._unknown(kind, node.position)

    def _read_map(self, node: MapNode) -> None:
        kinds = [key for key in KINDS if key in node.values]
        if not kinds and len(node.values) == 1:
            key = next(iter(node.values))
            self._unknown(key, node.key(key).position)
            return
        fields = Fields(node, ENTRY_KEYS, self.around.problems)
        if not kinds:
            self._problem(node.position, "a strategy entry has none of 'same', 'escalate', 'replan'")
        elif len(kinds) > 1:
            both = " and ".join(f"'{kind}'" for kind in kinds)
            self._problem(node.position, f"a strategy entry has {both}", "write one entry for each attempt")
        else:
            self._read_entry(kinds[0], fields)

    def _read_entry(self, kind: str, fields: Fields) -> None:
        extra: dict[str, Any] = {
            "session": fields.choice("session", ("fresh", "resume")),
            "worktree": fields.choice("worktree", ("keep", "reset")),
            "prompt": self._prompt(fields),
            "when": self._when(fields),
        }
        value, key = fields.get(kind), fields.node.key(kind)
        is_absent = isinstance(value, ScalarNode) and value.value is None
        if kind == "same":
            text = value.text if isinstance(value, ScalarNode) else ""
            count = 1 if is_absent else self._count(text, describe(value), fields.value_position(kind))
            self._add_same(count, key, extra)
            return
        agent = "" if is_absent else fields.text(kind)
        if agent is not None:
            self._add_agent(cast("EntryKind", kind), agent.strip(), key, extra)

    def _when(self, fields: Fields) -> When | None:
        if "when" not in fields:
            return None
        from pytest_gump.workflow.reading.read_when import read_when  # few entries have conditions

        placed = read_when(fields, self.around.problems)
        if placed is None:
            return None
        self.whens.append(placed)
        return placed.when

    def _prompt(self, fields: Fields) -> str | None:
        prompt, node = fields.text("prompt"), fields.get("prompt")
        if prompt is not None and isinstance(node, ScalarNode):
            self.prompts.append(Templated(prompt, node))
        return prompt

    def _count(self, text: str, shown: str, position: Position) -> int | None:
        if text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= keys.MAX_ATTEMPTS:
            return int(text)
        self._problem(position, f"'same' takes a whole number from 1 to {keys.MAX_ATTEMPTS}, not {shown}")
        return None

    def _add_same(self, count: int | None, at: Node, extra: dict[str, Any]) -> None:
        self.kinds.append(("same", at))
        self.entries.extend([Entry(**extra)] * (count or 1))

    def _add_agent(self, kind: EntryKind, agent: str, at: Node, extra: dict[str, Any]) -> None:
        self.kinds.append((kind, at))
        if not agent:
            self._problem(at.position, f"strategy '{kind}' names no agent", f"write '{kind}: AGENT'")
            return
        self.around.check_agent(agent, at)
        if extra.get("session") == "resume":
            self.resumed.append((agent, at))
        self.entries.append(Entry(kind=kind, agent=agent, **extra))


class ReadRules(NamedTuple):
    rules: tuple[StickyRule, ...] = ()
    prompts: tuple[Templated, ...] = ()


def read_rules(failure: Fields, around: Surroundings) -> ReadRules:
    nodes = (failure.nodes(RULES) or ()) if around.is_translated else ()
    fields = [Fields(node, RULE_KEYS, around.problems) for node in nodes if isinstance(node, MapNode)]
    prompts = (_rule_prompt(rule.get("prompt")) for rule in fields if "prompt" in rule)
    return ReadRules(tuple(_rule(rule, around) for rule in fields), tuple(text for text in prompts if text))


def _rule_prompt(node: Node | None) -> Templated | None:
    return Templated(node.text, node) if isinstance(node, ScalarNode) else None


def _rule(fields: Fields, around: Surroundings) -> StickyRule:
    agent = fields.text("agent")
    if agent is not None:
        around.check_agent(agent, fields.values["agent"])
    return StickyRule(
        attempt=fields.whole("attempt", most=keys.MAX_ATTEMPTS),
        gate=fields.text("gate"),
        validate=fields.text("validate"),
        agent=agent,
        session="fresh" if "session" in fields else None,
        worktree="reset" if "worktree" in fields else None,
        prompt=fields.text("prompt"),
    )
