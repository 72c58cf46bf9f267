"""Markdown table of the turns and stalls of each attempt, for the summary of a CI service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.order import AttemptResult

HEAD: Final = (
    *("step", "attempt", "turns", "write", "command", "other", "text"),
    *("failed", "repeated", "corrected", "loops", "first write", "silence"),
)
MAX_ROWS: Final = 500


def turns_table(record: RunRecord, code: Callable[[str], str]) -> Iterator[str]:
    """Yield a folded table with a row for each attempt with turns; `code` formats the path of a step."""
    results = [attempt.result for attempt in record.own if attempt.result is not None]
    worked = [result for result in results if result.usage.turns]
    if not worked:
        return
    yield from ("<details><summary>Turns and tool calls</summary>", "")
    yield f"| {' | '.join(HEAD)} |"
    yield f"| --- |{' ---: |' * (len(HEAD) - 1)}"
    for result in worked[:MAX_ROWS]:
        yield f"| {' | '.join((code(result.step), *_figures(result)))} |"
    yield ""
    if len(worked) > MAX_ROWS:
        yield from (f"and {len(worked) - MAX_ROWS} more attempts", "")
    yield from ("</details>", "")


def _figures(result: AttemptResult) -> Iterator[str]:
    use = result.tool_use
    kinds = (use.kinds.write, use.kinds.command, use.kinds.other, use.kinds.text)
    counts = (result.attempt, result.usage.turns, *kinds, use.failed, use.repeated, use.corrected, use.failure_loops)
    yield from map(str, counts)
    yield "" if use.first_write_s is None else format_duration(use.first_write_s)
    yield format_duration(use.longest_silence_s)
