"""Choose the conversation that an attempt continues or copies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.engine.record.records import results
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pytest_gump.agents.base import SessionRef
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import AttemptResult


class Beginning(NamedTuple):
    """The conversation that an attempt starts with: a new one, one that it continues, or a copy of one."""

    session: SessionRef | None = None
    fork: bool = False
    missed: str | None = None
    """Last message of the wanted conversation, if the agent's CLI cannot continue it."""


FRESH: Final = Beginning()


def choose_session(
    ready: Ready,
    record: RunRecord,
    *,
    foreach: Collection[str],
    call_of: Callable[[tuple[str, ...]], tuple[str, ...]],
    cli_of: Callable[[str], str],
    target: str | None,
) -> Beginning:
    """Return the conversation that the attempt starts with.

    `target` is the static path of the step in `{reuse: STEP}` or `{fork: STEP}`. Only agents of the same CLI can share
    a conversation. `reuse` searches the step's scope: its plan item, or else its enclosing group. It crosses no call:
    `call_of` returns the path of the innermost call around a step.
    """
    if ready.agent is None or ready.session == "fresh":
        return FRESH
    mode, cli, session = ready.step.session.mode, cli_of(ready.agent), None
    is_target = partial(_is_target, target, ready.path)
    if ready.session == "resume" or (mode == "reuse-on-retry" and ready.entry != "first"):
        session = _newest(record, cli, lambda path: path == ready.path)
    elif mode == "reuse":
        session = _newest(record, cli, is_target if target else partial(_is_in_scope, foreach, call_of, ready.path))
    fork = session is None and mode == "fork" and target is not None
    if fork:
        session = _newest(record, cli, is_target)
    if session is not None:
        return Beginning(_as_it_is(record, session), fork)
    return FRESH if target is None else Beginning(missed=_last_message(record, is_target))


def _newest(record: RunRecord, cli: str, is_wanted: Callable[[StepPath], bool]) -> SessionRef | None:
    """Return the newest conversation of a CLI in the wanted steps. Skips conversations about discarded work."""
    wanted = (result.session for result in _newest_first(record) if is_wanted(StepPath.parse(result.step)))
    return next((session for session in wanted if session is not None and session.cli == cli), None)


def _newest_first(record: RunRecord) -> Iterator[AttemptResult]:
    return reversed(results(attempt for attempt in record.attempts if attempt.counts))


def _as_it_is(record: RunRecord, session: SessionRef) -> SessionRef:
    """Return the conversation with its newest totals: another step may have continued it since."""
    sessions = (result.session for result in reversed(results(record.attempts)))
    same = (other for other in sessions if other is not None and (other.cli, other.id) == (session.cli, session.id))
    return next(same, session)


def _last_message(record: RunRecord, is_wanted: Callable[[StepPath], bool]) -> str | None:
    wanted = (result for result in _newest_first(record) if is_wanted(StepPath.parse(result.step)))
    return next((result.message for result in wanted), None)


def _is_target(target: str | None, asker: StepPath, path: StepPath) -> bool:
    return path.static == target and path.items == asker.items[: len(path.items)]


def _is_in_scope(
    foreach: Collection[str], call_of: Callable[[tuple[str, ...]], tuple[str, ...]], asker: StepPath, path: StepPath
) -> bool:
    depths = [depth for depth in range(1, len(asker.names)) if "::".join(asker.names[:depth]) in foreach]
    scope = asker.names[: depths[-1]] if depths else asker.names[:-1]
    is_inside = path.items == asker.items and path.names[: len(scope)] == scope
    return is_inside and call_of(path.names) == call_of(asker.names)
