"""Values of the templates `{steps.REF.FIELD}` and `{run.FIELD}`."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.plan_sort import in_order
from pytest_gump.workflow.model import VALIDATE, gate_name, template_name
from pytest_gump.workflow.path import REPLAN, StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_gump.agents.usage import Total
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.order import AttemptResult, PlanItem


_WITH_VERDICT: Final = frozenset({"review", "approve"})
"""Modes of the attempts whose output is a verdict. Another one has a verdict if a person has rejected it."""


class TemplateValues:
    """Values from the run record for the templates of a step.

    `foreach` has the static path of each foreach group, and that of its plan step. A step in such a group has an
    instance for each plan item. A reference from the same group means the instance of the referring step's own item. A
    reference from outside means all instances, in plan order.
    """

    def __init__(self, record: RunRecord, foreach: Mapping[str, str], diff: Callable[[AttemptRecord], str]) -> None:
        self._record = record
        self._foreach = foreach
        self._diff = diff

    def step(self, static: str, field: str, asker: StepPath) -> str:
        """Return a field of the step with this static path, for a template of `asker`; empty if there is none yet."""
        values = [self._value(record, field) for record in self._instances(static, asker)]
        separator = "\n\n" if field == "output" else ", "
        return separator.join(value for value in values if value)

    def previous(self, path: StepPath, field: str, *, attempt: int | None = None) -> str:
        """Return a field of the newest attempt of a step, or of the newest one before this attempt number.

        `comment` is that of its verdict or of its validators, and `diff` its change since the step began.
        """
        found = self._newest(path, attempt)
        if found is None or found.result is None:
            return ""
        if field == "comment":
            return comment_of(found.result)
        if field == "diff":
            return self._diff(found)
        return self._output(found, found.result) if field == "output" else ""

    def gate(self, path: StepPath, name: str) -> str:
        """Return the summaries of a step's gates, or validators, with this name in its newest attempt."""
        found = self._newest(path, None)
        gates = () if found is None or found.result is None else found.result.gates
        own = (gate for gate in gates if template_name(gate.name) == name)
        return "; ".join(gate.summary or gate.status for gate in own)

    def _newest(self, path: StepPath, before: int | None) -> AttemptRecord | None:
        record = self._record.steps.get(str(path))
        attempts = reversed(record.attempts) if record is not None else ()
        ended = (attempt for attempt in attempts if attempt.counts and attempt.result is not None)
        return next((attempt for attempt in ended if before is None or attempt.attempt < before), None)

    def run(self, field: str) -> str:
        """Return a field of the run so far."""
        record, total = self._record, self._record.total
        values = {
            "id": record.run_id,
            "workflow": record.workflow,
            "spec": record.spec,
            "status": record.status,
            "duration": f"{record.duration_s:.0f}",
            "retries": str(record.retries),
            **_sums(total),
        }
        return values[field]

    def _instances(self, static: str, asker: StepPath) -> Iterable[StepRecord]:
        names = tuple(static.split("::"))
        shared = sum(
            "::".join(names[:depth]) in self._foreach and names[:depth] == asker.names[:depth]
            for depth in range(1, len(names))
        )
        paths = map(StepPath.parse, self._record.steps)
        wanted = [path for path in paths if path.names == names and path.items[:shared] == asker.items[:shared]]
        return (self._record.steps[str(path)] for path in self._in_plan_order(wanted))

    def _in_plan_order(self, paths: list[StepPath]) -> list[StepPath]:
        if len(paths) < 2:
            return paths
        positions = cache(lambda *key: {item.slug: index for index, item in enumerate(self._plan(*key))})

        def position(path: StepPath) -> list[int]:
            around = ("::".join(path.names[:depth]) for depth in range(1, len(path.names)))
            plans = (self._foreach[group] for group in around if group in self._foreach)
            items = enumerate(zip(plans, path.items, strict=False))
            return [positions(static, path.items[:depth]).get(item, 0) for depth, (static, item) in items]

        return sorted(paths, key=position)

    def _plan(self, static: str, items: tuple[str, ...]) -> tuple[PlanItem, ...]:
        """Return the plan of a step in these items, or in the innermost of them that has one; it may be empty."""
        names = tuple(static.split("::"))
        paths = (StepPath(names, items[:depth]) for depth in range(len(items), -1, -1))
        newest = (self._newest(path, None) for path in paths)
        results = (attempt.result for attempt in newest if attempt is not None)
        return in_order(next((result.plan for result in results if result is not None and result.plan), ()))

    def _value(self, record: StepRecord, field: str) -> str:
        valid = (attempt for attempt in reversed(record.attempts) if not attempt.superseded)
        attempt = next((attempt for attempt in valid if attempt.result is not None), None)
        if attempt is None or attempt.result is None:
            return ""
        result, total = attempt.result, record.total
        if field == "output":
            return self._output(attempt, result)
        values = {
            "comment": comment_of(result),
            "files": ", ".join(change.path for change in result.changed),
            "status": _status(record),
            "session_id": result.session.id if result.session else "",
            "agent": result.agent or "",
            "turns": str(total.turns),
            "duration": f"{total.duration_s:.0f}",
            "retries": str(sum(not attempt.is_repeated for attempt in record.attempts) - 1),
            **_sums(total),
        }
        return values[field]

    def _output(self, attempt: AttemptRecord, result: AttemptResult) -> str:
        if result.plan is not None:
            items = [
                {"name": item.name, "description": item.description, "files": list(item.files)} for item in result.plan
            ]
            return json.dumps(items, indent=2, ensure_ascii=False)
        if result.artifact is not None:
            return result.artifact
        if result.verdict is not None and attempt.mode in _WITH_VERDICT:
            verdict = {"pass": result.verdict.passed, "comment": result.verdict.comment}
            return json.dumps(verdict, indent=2, ensure_ascii=False)
        return self._diff(attempt)


def newest_path(step: StepPath, failed: StepPath | None) -> StepPath:
    """Return the path of the attempt before: that of the step, or of the part with which its last replan failed."""
    replan = StepPath((*step.names[:-1], f"{step.name}{REPLAN}"))
    is_part = failed is not None and StepPath(failed.names[:-1]) == replan
    return failed if failed is not None and is_part else step


def comment_of(result: AttemptResult) -> str:
    """Return the comments of the validators that did not pass, or else that of the verdict."""
    failed = (gate.output for gate in result.gates if gate.status == "failed" and gate_name(gate.name) == VALIDATE)
    verdict = "" if result.verdict is None else result.verdict.comment
    return "\n\n".join(filter(None, failed)) or verdict


def _sums(total: Total) -> dict[str, str]:
    tokens = total.tokens
    return {"cost": f"{total.cost_usd:.4f}", "tokens_in": str(tokens.read), "tokens_out": str(tokens.written)}


def _status(record: StepRecord) -> str:
    """Return the status by the newest valid attempt: while a run is being resumed, later attempts do not count yet."""
    newest = record.newest_valid
    return newest.verdict if newest is not None and newest.verdict in {"passed", "failed"} else "running"
