"""Which conversation of an agent CLI an attempt resumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pytest_gump.agents.base import SessionRef
    from pytest_gump.engine.metrics import RunRecord
    from pytest_gump.engine.schedule import Ready


def choose_session(
    ready: Ready,
    record: RunRecord,
    *,
    foreach: Collection[str],
    cli_of: Callable[[str], str],
    target: str | None,
) -> SessionRef | None:
    """The session that this attempt resumes, or None for a fresh one.

    `target` is the static path that `{reuse: STEP}` means. A session passes only between agents of one CLI. `reuse`
    looks in the step's scope: the plan item it belongs to, else its enclosing group.
    """
    if ready.agent is None or ready.session == "fresh":
        return None
    mode = ready.step.session.mode
    if ready.session == "resume" or (mode == "reuse-on-retry" and ready.entry != "first"):
        candidates = _of_step(record, ready.path)
    elif mode == "reuse":
        candidates = _of_target(record, target, ready.path) if target else _in_scope(record, ready.path, foreach)
    else:
        return None
    cli = cli_of(ready.agent)
    return next((session for session in candidates if session.cli == cli), None)


def _newest_first(record: RunRecord) -> Iterator[tuple[StepPath, SessionRef]]:
    for attempt in reversed(record.attempts):
        if attempt.result is not None and attempt.result.session is not None:
            yield StepPath.parse(attempt.step), attempt.result.session


def _of_step(record: RunRecord, path: StepPath) -> Iterator[SessionRef]:
    return (session for one, session in _newest_first(record) if one == path)


def _of_target(record: RunRecord, target: str, asker: StepPath) -> Iterator[SessionRef]:
    names = tuple(target.split("::"))
    return (
        session
        for one, session in _newest_first(record)
        if one.names == names and one.items == asker.items[: len(one.items)]
    )


def _in_scope(record: RunRecord, path: StepPath, foreach: Collection[str]) -> Iterator[SessionRef]:
    depths = [depth for depth in range(1, len(path.names)) if "::".join(path.names[:depth]) in foreach]
    scope = path.names[: depths[-1]] if depths else path.names[:-1]
    return (
        session
        for one, session in _newest_first(record)
        if one.items == path.items and one.names[: len(scope)] == scope
    )
