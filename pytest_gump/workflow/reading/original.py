"""Keys and names of the original Gump that have no meaning here or another one, with their replacements.

The original has two dialects: Gump 0.0.3 has almost the same keys as this language; Gump 0.0.4 replaced most of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.reading.yaml_nodes import ListNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.yaml_nodes import MapNode

UNSUPPORTED: Final = {
    "recipe": "it is the old name of 'workflow'",
    "hitl": "leave it out, and review the result before 'gump apply'",
    "approve": "leave the step out, and review the result before 'gump apply'",
}
"""Keys of the language that are not supported yet, each with a workaround if there is one."""

CALLS: Final = ("workflow", "recipe")

NEWER_KEYS: Final = {
    "type": "write 'output: diff', 'plan', 'artifact' or 'review' instead",
    "each": "write a second step with 'foreach: STEP' and 'steps' instead",
    "get": "write 'prompt', 'context' and 'session' on the step itself",
    "run": "write 'agent' and 'guard' on the step itself",
}
"""Step keys that exist only in Gump 0.0.4, each with a hint."""

RETRY_RULES: Final = "write 'on_failure' with 'retry' and 'strategy' instead"

RENAMED_FIELDS: Final = {
    "check_result": "write 'status': it is passed, failed or running",
    "cache_read": "it is included in 'tokens_in'",
    "cache_write": "it is included in 'tokens_in'",
}
"""Fields of `{steps.REF.FIELD}` in Gump 0.0.3 that have another name here, each with a hint."""


def newer_keys(node: MapNode) -> dict[str, str]:
    """Return the keys of a step that exist only in Gump 0.0.4, each with a hint."""
    hints = {key: hint for key, hint in NEWER_KEYS.items() if key in node.values}
    if isinstance(node.values.get("retry"), ListNode):
        hints["retry"] = RETRY_RULES
    return hints


def refuse_newer(node: MapNode, hints: Mapping[str, str], problems: Problems) -> None:
    for key, hint in hints.items():
        what = f"'{key}' is a key of Gump 0.0.4, whose files are not supported yet"
        problems.add(node.key(key).position, what, hint)


def is_original_name(name: str) -> bool:
    """True for template names of the original that are aliases here."""
    return name.startswith("task.") or (name.startswith("steps.") and name.endswith(".diff"))
