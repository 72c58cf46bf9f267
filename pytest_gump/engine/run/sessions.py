"""Which conversation of an agent CLI an attempt begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from pytest_gump.agents.base import SessionRef
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.schedule.records import Ready


@dataclass(frozen=True, slots=True)
class Beginning:
    """The conversation that an attempt begins with: none, or one that it goes on with, or a copy of one."""

    session: SessionRef | None = None
    fork: bool = False
    missed: str | None = None
    """What the conversation ended with that was to be begun with, where this agent's CLI has none of it."""


FRESH: Final = Beginning()


def choose_session(
    ready: Ready,
    record: RunRecord,
    *,
    foreach: Collection[str],
    cli_of: Callable[[str], str],
    target: str | None,
) -> Beginning:
    """The conversation that this attempt begins with.

    `target` is the static path that `{reuse: STEP}` or `{fork: STEP}` means. A session passes only between agents of
    one CLI. `reuse` looks in the step's scope: the plan item it belongs to, else its enclosing group.
    """
    if ready.agent is None or ready.session == "fresh":
        return FRESH
    mode = ready.step.session.mode
    candidates: Iterable[SessionRef] = ()
    if ready.session == "resume" or (mode == "reuse-on-retry" and ready.entry != "first"):
        candidates = _of_step(record, ready.path)
    elif mode == "reuse":
        candidates = _of_target(record, target, ready.path) if target else _in_scope(record, ready.path, foreach)
    cli = cli_of(ready.agent)
    session = _first(candidates, cli)
    fork = session is None and mode == "fork" and target is not None
    if fork and target is not None:
        session = _first(_of_target(record, target, ready.path), cli)
    if session is not None:
        return Beginning(_as_it_is(record, session), fork)
    return FRESH if target is None else Beginning(missed=_last_words(record, target, ready.path))


def _first(candidates: Iterable[SessionRef], cli: str) -> SessionRef | None:
    return next((session for session in candidates if session.cli == cli), None)


def _as_it_is(record: RunRecord, session: SessionRef) -> SessionRef:
    """The session with its newest totals: another step may have gone on with it since."""
    all_of_it = (one.result.session for one in reversed(record.attempts) if one.result is not None)
    same = (one for one in all_of_it if one is not None and (one.cli, one.id) == (session.cli, session.id))
    return next(same, session)


def _last_words(record: RunRecord, target: str, asker: StepPath) -> str | None:
    results = (one for one in reversed(record.attempts) if one.counts and one.result is not None)
    of_target = (one.result for one in results if _is_target(StepPath.parse(one.step), target, asker))
    return next((result.message for result in of_target if result is not None), None)


def _newest_first(record: RunRecord) -> Iterator[tuple[StepPath, SessionRef]]:
    for attempt in reversed(record.attempts):
        if attempt.counts and attempt.result is not None and attempt.result.session is not None:
            yield StepPath.parse(attempt.step), attempt.result.session


def _of_step(record: RunRecord, path: StepPath) -> Iterator[SessionRef]:
    return (session for one, session in _newest_first(record) if one == path)


def _of_target(record: RunRecord, target: str, asker: StepPath) -> Iterator[SessionRef]:
    return (session for one, session in _newest_first(record) if _is_target(one, target, asker))


def _is_target(path: StepPath, target: str, asker: StepPath) -> bool:
    return path.names == tuple(target.split("::")) and path.items == asker.items[: len(path.items)]


def _in_scope(record: RunRecord, path: StepPath, foreach: Collection[str]) -> Iterator[SessionRef]:
    depths = [depth for depth in range(1, len(path.names)) if "::".join(path.names[:depth]) in foreach]
    scope = path.names[: depths[-1]] if depths else path.names[:-1]
    return (
        session
        for one, session in _newest_first(record)
        if one.items == path.items and one.names[: len(scope)] == scope
    )
