"""Fills in the templates of an attempt: the values of all names in its scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.engine.attempt.feedback import describe_failures
from pytest_gump.engine.record.records import results
from pytest_gump.engine.run.call_scope import is_input
from pytest_gump.engine.run.template_values import TemplateValues, comment_of, newest_path
from pytest_gump.workflow.refs import split_state
from pytest_gump.workflow.template import parse, varies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.engine.record.records import AttemptRecord, RunRecord
    from pytest_gump.engine.run.call_scope import CallScope
    from pytest_gump.engine.schedule.records import CallTrees, Checked, Ready
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.workflow.refs import Scopes

_VOLATILE: Final = {"session_id", "cost", "duration", "turns", "retries", "tokens_in", "tokens_out"}


class Templates:
    def __init__(
        self, record: RunRecord, repository: Repository, settings: Settings, *,
        base: str, spec: str, calls: CallScope, scopes: Scopes, foreach: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._record, self._repository, self._settings = record, repository, settings
        self._base = base
        self._spec, self._calls, self._scopes = spec, calls, scopes
        self._values = TemplateValues(record, foreach, self.diff_of)

    def render(self, text: str, ready: Ready) -> str:
        return parse(text).render(lambda name: self.value(name, ready))

    def value(self, name: str, ready: Ready) -> str:
        """Return the value of a name for an attempt; empty if it has none yet."""
        head, _, rest = name.partition(".")
        item = ready.items[-1] if ready.items else None
        match head:
            case "spec" if not rest:
                return self._spec
            case "attempt" if not rest:
                return str(ready.attempt)
            case "error" if not rest:
                failures = results(self.failed(ready))
                return describe_failures(failures, error_chars=self._settings.error_chars) if failures else ""
            case "diff" if not rest:
                return self._diff(ready)
            case "output" if not rest:
                return self._values.previous(newest_path(ready.step_path, ready.failed), "output")
            case "prev" if rest:
                return self._previous(rest, ready)
            case "gate" if rest:
                return self._values.gate(newest_path(ready.step_path, ready.failed), rest)
            case "item" | "task" if item is not None and rest:
                return {"name": item.name, "description": item.description, "files": ", ".join(item.files)}[rest]
            case "run" if rest:
                return self._values.run(rest)
            case "steps" if (split := split_state(name)) is not None:
                reference, field = split
                static = "::".join(self._scopes.source(ready.path.names, reference))
                return self._values.step(static, field, ready.path)
            case _:
                return self._calls.value(name, ready, self.value)

    def stable_value(self, name: str, ready: Ready) -> str:
        """Like `value`, but values that differ between equal runs stay names; for fingerprints and cassettes."""
        if varies(name) or name.rpartition(".")[2] in _VOLATILE:
            return f"{{{name}}}"
        return self._calls.value(name, ready, self.stable_value) if is_input(name) else self.value(name, ready)

    def failed(self, ready: Ready) -> list[AttemptRecord]:
        """Return the failed attempts that the prompt describes, oldest first."""
        step = self._record.steps.get(str(ready.failed))
        if step is None or ready.failure is None:
            return []
        return [record for record in step.attempts if record.counts and record.attempt == ready.failure.attempt]

    def diff_of(self, attempt: AttemptRecord, limit: int = 0) -> str:
        """Return the change of an attempt since its step began."""
        result = attempt.result
        if result is None or result.snapshot is None or result.snapshot == attempt.step_base:
            return ""
        limit = limit or self._settings.context_bytes
        return self._repository.diff_text(attempt.step_base, result.snapshot, limit)

    def _diff(self, ready: Ready) -> str:
        """Return the change of the failed attempt; in `with`, the change that the call is about.

        In a validator, this is the change that it checks.
        """
        if ready.checks is not None:
            return self._checked(ready.checks)
        if ready.step.call is not None:
            return self._change(ready.calls[-1])
        failed = self.failed(ready)
        return self.diff_of(failed[-1], self._settings.diff_chars) if failed else ""

    def _checked(self, checked: Checked) -> str:
        """Return the change of the step that a validator checks; for a gate-only step, that of the run so far."""
        is_gate = checked.ready.mode == "gate" and checked.ready.role == "step"
        return self._between(self._base if is_gate else checked.ready.step_base, checked.commit)

    def _change(self, trees: CallTrees) -> str:
        return self._between(trees.since, trees.until)

    def _between(self, since: str, until: str) -> str:
        return "" if since == until else self._repository.diff_text(since, until, self._settings.context_bytes)

    def _previous(self, field: str, ready: Ready) -> str:
        """Return a field of the attempt before; the comment is that of the verdict that led to this attempt."""
        failed = results(self.failed(ready))
        if field == "comment" and failed and (comment := comment_of(failed[-1])):
            return comment
        newest = newest_path(ready.step_path, ready.failed)
        attempt = ready.attempt if newest == ready.path else None
        return self._values.previous(newest, field, attempt=attempt)
