"""The attempts that a failure policy allows, computed with the policy itself."""

from __future__ import annotations

from itertools import count, groupby
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.decision import Failure, Replan, Restart, Retry, Stop
from pytest_gump.engine.schedule.retry import Tally, decide, to_decision
from pytest_gump.workflow.model import When

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.schedule.decision import Decision, FailureSource
    from pytest_gump.workflow.model import Entry, OnFailure, Policy, Step, StickyRule

_BRANCHES: Final[tuple[FailureSource, ...]] = ("gate_fail", "guard_fail", "review_fail")


def describe_attempts(step: Step) -> Iterator[tuple[str, str]]:
    """Yield a label and a text for the step's policy, or for each branch of it."""
    on_failure = step.on_failure
    if on_failure is None:
        if step.kind == "agent":
            yield "attempts", f"1 {agent_text(step)}; its failure is final"
        return
    if on_failure.flat is not None:
        yield "attempts", _attempts(step, on_failure, "gate_fail")
        return
    label = "attempts"
    for source in _BRANCHES:
        if getattr(on_failure, source) is not None:
            yield label, f"on {source}: {_attempts(step, on_failure, source)}"
        elif on_failure.branch(source) is None:
            yield label, f"on {source}: final at once"
        else:
            continue
        label = ""


def agent_text(step: Step) -> str:
    """Return the declared agent, or the step whose agent is used."""
    if step.agent_of is None:
        return step.agent or ""
    return f"the agent of {step.agent_of.step}" if step.agent_of.step else f"the agent in input {step.agent_of.input}"


def _attempts(step: Step, on_failure: OnFailure, source: FailureSource) -> str:
    """Return `1-3 claude-haiku, 4 claude-sonnet, then restart from tests, 5 claude-haiku; the 5th failure is final`."""
    policy = on_failure.branch(source)
    if policy is not None and policy.rules:
        return _by_rules(step, policy)
    if policy is not None and policy.has_conditions:
        return _conditional(step, policy)
    described: list[tuple[int, str, str]] = []
    tally, agent, jump = Tally(), step.agent and agent_text(step), ""
    how = _first(step)
    for number in count(1):
        described.append((number, how, jump))
        decision = decide(on_failure, tally, Failure(number, "", source), compare_trees=False)
        jump = ""
        if decision is None or isinstance(decision, Stop):
            return f"{_ranges(described)}; {_ordinal(number)} failure is final"
        if isinstance(decision, Restart):
            tally.restart_list(on_failure)
            jump, agent, how = f"then restart from {decision.step}, ", step.agent and agent_text(step), _first(step)
        else:
            agent, how = _next(step, decision, agent)
    raise AssertionError("the failure with the number `retry` is final")


def _by_rules(step: Step, policy: Policy) -> str:
    """Return `1 claude-haiku, 2-5 by rules that stay in force: claude-opus if test fails; the 5th failure is final`."""
    listed = [f"{_changes(rule)} {_when(rule)}" for rule in policy.rules]
    most = policy.retry
    attempts = f", {'2' if most == 2 else f'2-{most}'} by rules that stay in force: {', '.join(listed)}"
    return f"1 {_first(step)}{attempts if most > 1 else ''}; {_ordinal(most)} failure is final"


def _when(rule: StickyRule) -> When:
    return When(() if rule.gate is None else (rule.gate,), rule.validate, rule.attempt)


def _changes(rule: StickyRule) -> str:
    """Return `claude-opus and session fresh and another prompt`; `no change` for a rule without values."""
    values = (
        rule.agent or "",
        f"session {rule.session}" if rule.session else "",
        f"worktree {rule.worktree}" if rule.worktree else "",
        "another prompt" if rule.prompt else "",
    )
    return " and ".join(value for value in values if value) or "no change"


def _conditional(step: Step, policy: Policy) -> str:
    """Return `1 claude-haiku, then the first unused that fits: claude-opus if test fails; else final; ...`."""
    listed = []
    for entry, group in groupby(policy.strategy[1:]):
        times = len([*group])
        condition = "" if entry.when is None else f" {entry.when}"
        listed.append(f"{f'{times} x ' if times > 1 else ''}{_entry(step, entry)}{condition}")
    if policy.restart_from is not None:
        otherwise = f"restart from {policy.restart_from}"
    else:
        otherwise = "final" if policy.last is None else _entry(step, policy.last)
    fitting = ", ".join(listed)
    last = f"{_ordinal(policy.retry)} failure is final"
    return f"1 {_first(step)}, then the first unused that fits: {fitting}; else {otherwise}; {last}"


def _entry(step: Step, entry: Entry) -> str:
    if entry.kind == "same":
        others = {"gate": "the gates", "group": "as before", "approve": "the question"}
        who = others.get(step.kind, "the same agent")
        decision = to_decision(entry)
        return f"{who}{_columns(decision) if isinstance(decision, Retry) else ''}"
    return _next(step, to_decision(entry), "the same agent")[1]


def _first(step: Step) -> str:
    others = {"gate": "the gates", "group": "as declared", "approve": "the question"}
    return others.get(step.kind) or agent_text(step)


def _next(step: Step, decision: Decision, agent: str | None) -> tuple[str | None, str]:
    if isinstance(decision, Replan):
        return agent, f"replanned by {decision.agent}, items by {agent}"
    if not isinstance(decision, Retry):
        return agent, _first(step)
    agent = decision.agent or agent
    name = agent or _first(step)
    if step.kind == "group" and agent is not None:
        name = f"all by {agent}"
    return agent, f"{name}{_columns(decision)}"


def _columns(decision: Retry) -> str:
    """Return the settings that an entry overrides, without the defaults of its kind."""
    usual = "keep" if decision.agent is None else "reset"
    overridden = []
    if decision.worktree != usual:
        overridden.append(f"worktree {decision.worktree}")
    if decision.session is not None and not (decision.agent and decision.session == "fresh"):
        overridden.append(f"session {decision.session}")
    if decision.prompt is not None:
        overridden.append("another prompt")
    return f" ({', '.join(overridden)})" if overridden else ""


def _ranges(described: list[tuple[int, str, str]]) -> str:
    """Join adjacent rows with the same text; an attempt after a restart starts a new row."""
    parts: list[str] = []
    starts = 0
    numbered: list[tuple[int, tuple[int, str, str]]] = []
    for entry in described:
        starts += bool(entry[2])
        numbered.append((starts, entry))
    for (_, how), group in groupby(numbered, key=lambda entry: (entry[0], entry[1][1])):
        entries = [entry for _, entry in group]
        first, last, jump = entries[0][0], entries[-1][0], entries[0][2]
        parts.append(f"{jump}{first if first == last else f'{first}-{last}'} {how}")
    return ", ".join(parts)


def _ordinal(number: int) -> str:
    if number == 1:
        return "the first"
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"the {number}{ending}"
