"""Notes about `on_failure`: entries that are never used, and counts with another meaning in the original Gump."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.workflow.reading.original import is_original_name
from pytest_gump.workflow.template import written_names

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Policy
    from pytest_gump.workflow.reading.located import PlacedPolicy, PlacedStep, PlacedWorkflow, Surroundings


def check_reach(workflow: PlacedWorkflow, around: Surroundings) -> None:
    is_original = any(_names_original(step) for step in workflow.walk())
    for step in workflow.walk():
        is_branch = step.step.on_failure is not None and step.step.on_failure.flat is None
        for policy in step.policies:
            unreached = unreached_by(policy.policy)
            if unreached is not None:
                _note_unreached(policy, unreached, around, is_branch=is_branch)
            elif is_original:
                _note_difference(policy, around, is_branch=is_branch)


def unreached_by(policy: Policy) -> str | None:
    """Return the first entry of a policy that is never used, because an earlier failure is final; otherwise None.

    With `retry` above 2, every entry can be used: two failures without progress skip to another entry.
    """
    if policy.retry > 2:
        return None
    entries = policy.strategy[1:]
    first_for_all = next((number for number, entry in enumerate(entries) if entry.when is None), len(entries))
    used = 0 if policy.retry == 1 else first_for_all + 1
    for entry in entries[used:]:
        if entry.kind != "same":
            return entry.name
    if policy.restart_from is not None and used <= len(entries):
        return f"restart_from: {policy.restart_from}"
    return None


def _note_unreached(policy: PlacedPolicy, unreached: str, around: Surroundings, *, is_branch: bool) -> None:
    retry = policy.policy.retry
    original = f", where the original Gump reads {retry + 1} attempts" if is_branch else ""
    which = "first" if retry == 1 else "second"
    around.problems.note(
        policy.fields.key_position("retry"),
        f"'retry: {retry}' makes the {which} failure final{original}: '{unreached}' is never used",
        f"write 'retry: {retry + 1}', or more",
    )


def _note_difference(policy: PlacedPolicy, around: Surroundings, *, is_branch: bool) -> None:
    retry = policy.policy.retry
    if is_branch and "retry" in policy.fields:
        around.problems.note(
            policy.fields.key_position("retry"),
            f"'retry: {retry}' of a branch means {retry} attempts here, and {retry + 1} in the original Gump",
            f"write 'retry: {retry + 1}' to keep the number of attempts",
        )
    if "strategy" in policy.fields and policy.kinds[0][0] == "same":
        around.problems.note(
            policy.fields.key_position("strategy"),
            "the first entry of 'strategy' makes attempt 1 here, and attempt 2 in the original Gump",
            "add one more 'same' at the start to keep the order",
        )


def _names_original(step: PlacedStep) -> bool:
    return any(is_original_name(name) for text in step.texts for name, _ in written_names(text.text))
