"""Reads `approve` and `hitl`: the steps at which a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

from pytest_gump.text import quoted
from pytest_gump.units import MAX_SECONDS, parse_age
from pytest_gump.workflow import keys
from pytest_gump.workflow.model import Approval, Hitl, Shown
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.fields import Fields

APPROVE_KEYS: Final = keys.keys(keys.ApproveKeys)
SHOWN: Final = get_args(Shown)
HITL_WORDS: Final = get_args(Hitl)


def read_approval(fields: Fields, problems: Problems) -> Approval:
    """Read `approve: true` or `approve: {show: [...], expires: 3d}`."""
    node = fields.get("approve")
    if isinstance(node, ScalarNode) and node.value is True:
        return Approval()
    if not isinstance(node, MapNode):
        hint = "write 'approve: true'" if isinstance(node, ScalarNode) and node.value is None else None
        what = "nothing" if node is None else describe(node)
        fields.refuse_value("approve", f"'approve' must be true or a mapping, not {what}", hint)
        return Approval()
    below = fields.mapping("approve", APPROVE_KEYS)
    if below is None:
        return Approval()
    return Approval(show=_shown(below, problems), expires=_age(below))


def _shown(fields: Fields, problems: Problems) -> tuple[Shown, ...]:
    if "show" not in fields:
        return Approval().show
    found: list[Shown] = []
    nodes = fields.nodes("show")
    if nodes == ():
        fields.refuse_value("show", "'show' is empty", f"leave it out, or name some of {', '.join(SHOWN)}")
    for node in nodes or ():
        word = node.value if isinstance(node, ScalarNode) else None
        if word not in SHOWN:
            known = problems.suggest(str(word), SHOWN) if isinstance(word, str) else f"known: {', '.join(SHOWN)}"
            shown = quoted(word) if isinstance(word, str) else describe(node)
            problems.add(node.position, f"an approval cannot show {shown}", known)
        elif word in found:
            problems.add(node.position, f"{quoted(str(word))} is named twice", "leave one out")
        else:
            found.append(cast("Shown", word))
    return tuple(found)


def _age(fields: Fields) -> float | None:
    node = fields.get("expires")
    if node is None:
        return None
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and len(node.value) < 50:
        try:
            seconds = parse_age(node.value)
        except ValueError:
            seconds = MAX_SECONDS + 1.0
        if seconds <= MAX_SECONDS:
            return seconds
    bare = isinstance(node, ScalarNode) and type(node.value) is int and node.value > 0
    hint = f"did you mean {describe(node)}d?" if bare else None
    fields.refuse_value("expires", f"'expires' must be a time such as 3d, 1w or 12h, not {describe(node)}", hint)
    return None


def read_hitl(fields: Fields, problems: Problems) -> Hitl | None:
    """Read `hitl`. `true` is `before_gate`, as in the original; `false` is the same as no key."""
    node = fields.get("hitl")
    if node is None:
        return None
    if isinstance(node, ScalarNode):
        if isinstance(node.value, bool):
            return "before_gate" if node.value else None
        if node.value in HITL_WORDS:
            return cast("Hitl", node.value)
    word = node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else None
    hint = problems.suggest(word, HITL_WORDS) if word is not None else None
    fields.refuse_value("hitl", f"'hitl' must be true, before_gate or after_gate, not {describe(node)}", hint)
    return None
