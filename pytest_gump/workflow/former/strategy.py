"""Translates `retry:` lists of Gump 0.0.4.

Rules that count attempts say which agent makes which attempt, so they become a `strategy`. Rules about a failing gate
stay in force after they have fitted once, and later rules replace their values. No strategy says that, so they become
`rules`, a key that only the translation can write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.workflow.former.new_nodes import Pair, listing, mapping, scalar
from pytest_gump.workflow.former.retry import OVERRIDES, Values
from pytest_gump.workflow.reading.read_failure import RULES

if TYPE_CHECKING:
    from pytest_gump.workflow.former.decisions import Decisions
    from pytest_gump.workflow.former.retry import Retry, Rule
    from pytest_gump.workflow.reading.yaml_nodes import MapNode, Node

_STICKY: Final = "these rules of 'retry' cannot be expressed in the current language"
_STICKY_HINT: Final = "the file runs as it is; to convert it, let only rules with 'attempt' change the attempts"


class Attempts(NamedTuple):
    """One entry of a strategy."""

    times: int = 1
    agent: str = ""
    """Empty if the agent stays the same."""
    values: Values = Values()
    """Without the agent."""
    when: tuple[str, str] | None = None
    at: Node | None = None
    """The rule that the entry comes from."""


def strategy_of(retry: Retry, agent: str) -> list[Attempts]:
    """Return the entries of a strategy that makes the attempts of the rules."""
    entries = _counted(retry, agent)
    for rule in retry.failing:
        after = Attempts(1, "", entries[-1].values, at=entries[-1].at)
        name = rule.values.agent.text if rule.values.agent else ""
        entries = [Attempts(), Attempts(1, name, after.values, rule.failing, rule.node), after]
    return entries


def _counted(retry: Retry, agent: str) -> list[Attempts]:
    rules = [rule for rule in retry.rules if rule.failing is None]
    last = min(max([1, *(max(2, rule.attempt or 0) + 1 for rule in rules)]), retry.last)
    entries = [Attempts()]
    now = agent
    for number in range(2, last + 1):
        values, at = Values(), None
        for rule in rules:
            if (rule.attempt or 0) <= number:
                values |= rule.values
                at = rule.node
        wanted = values.agent.text if values.agent else agent
        is_new, now = wanted != now, wanted
        values = replace(values, agent=None)
        if not is_new and not entries[-1].agent and values == entries[-1].values:
            entries[-1] = entries[-1]._replace(times=entries[-1].times + 1)
        else:
            entries.append(Attempts(1, wanted if is_new else "", values, at=at))
    entries[-1] = entries[-1]._replace(times=1)  # it repeats
    return entries


def to_failure(retry: Retry, agent: str, decisions: Decisions) -> MapNode:
    """Return the value of `on_failure`."""
    pairs = [Pair("retry", retry.at, retry.attempts)]
    entries = strategy_of(retry, agent)
    if retry.is_sticky:
        pairs.append(Pair(RULES, retry.at, listing(map(_sticky, retry.rules), retry.at)))
        decisions.without_form.append((retry.failing[0].node.position, _STICKY, _STICKY_HINT))
    elif len(entries) > 1:
        pairs.append(Pair("strategy", retry.at, listing((_entry(retry.at, entry) for entry in entries), retry.at)))
    failure = mapping(pairs, retry.at)
    if any(entry.agent and not entry.values.worktree for entry in entries):
        decisions.comment(failure, "Gump 0.0.4 keeps the files when the agent changes.")
    if any(entry.values.worktree for entry in entries):
        decisions.comment(
            failure, "Gump 0.0.4 resets the files to those before the last attempt, not to those when the step began."
        )
    return failure


def _sticky(rule: Rule) -> MapNode:
    condition, value = rule.failing or ("attempt", rule.attempt)
    values = ((key, getattr(rule.values, key)) for key in OVERRIDES)
    given = [Pair(key, node, node) for key, node in values if node is not None]
    return mapping([Pair(condition, rule.node, scalar(value, rule.node)), *given], rule.node)


def _entry(at: Node, entry: Attempts) -> Node:
    at, values = entry.at or at, entry.values
    extra: dict[str, Node] = {} if values.prompt is None else {"prompt": values.prompt}
    if entry.when is not None:
        extra["when"] = mapping([Pair(entry.when[0], at, scalar(entry.when[1], at))], at)
    if entry.agent:
        first = Pair("escalate", at, scalar(entry.agent, at))
        settings = {} if values.worktree else {"worktree": "keep"}
    else:
        first = Pair("same", at, scalar(entry.times, at))
        settings = {"session": "fresh"} if values.session else {}
        settings |= {"worktree": "reset"} if values.worktree else {}
        settings |= {"session": "resume"} if values.worktree and not values.session else {}
    if not settings and not extra:
        word = "same" if entry.times == 1 else f"same: {entry.times}"
        return scalar(f"escalate: {entry.agent}" if entry.agent else word, at)
    pairs = [Pair(key, at, scalar(word, at)) for key, word in settings.items()]
    return mapping([first, *pairs, *(Pair(key, value, value) for key, value in extra.items())], at)
