"""Reads the rules of a translated `retry:` of Gump 0.0.4, which have no form in the language itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.workflow import keys
from pytest_gump.workflow.model import StickyRule
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.located import Templated
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.located import Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import Node

RULES: Final = "rules"
"""Key of `on_failure` that only the translation writes. In a file it is unknown."""
_KEYS: Final = ("attempt", "gate", "validate", "agent", "session", "worktree", "prompt")


class ReadRules(NamedTuple):
    rules: tuple[StickyRule, ...] = ()
    prompts: tuple[Templated, ...] = ()


def read_rules(failure: Fields, around: Surroundings) -> ReadRules:
    nodes = (failure.nodes(RULES) or ()) if around.is_translated else ()
    fields = [Fields(node, _KEYS, around.problems) for node in nodes if isinstance(node, MapNode)]
    prompts = (_prompt(rule.get("prompt")) for rule in fields if "prompt" in rule)
    return ReadRules(tuple(_rule(rule, around) for rule in fields), tuple(text for text in prompts if text))


def _prompt(node: Node | None) -> Templated | None:
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
