"""Markdown summary of a session's runs for a CI service.

Text of agents, gates and repositories is only in code spans and code blocks, so that it cannot become markup, a
mention, a link or a formula.
"""

from __future__ import annotations

import html
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.event_schema import NOTHING_TO_MERGE
from pytest_gump.engine.reporting.notices import reason_of_no_change
from pytest_gump.order import agent_name
from pytest_gump.reporters.ci_turns import turns_table
from pytest_gump.reporters.lines import run_facts
from pytest_gump.reporters.located_run import short
from pytest_gump.system.git.ref_names import branch_name
from pytest_gump.text import UNICODE, bounded_text, clean_text
from pytest_gump.units import format_duration, format_usd_sum, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.engine.record.records import RunRecord, StepRecord
    from pytest_gump.gates.base import GateResult
    from pytest_gump.reporters.located_run import LocatedRun

HEAD: Final = ("", "step", "result", "agent", "attempts", "cost", "turns", "time", "gates")
NUMBERS: Final = frozenset({"attempts", "cost", "turns", "time"})
MAX_STEPS: Final = 500
"""Limit of listed steps, because GitHub accepts summaries up to 1 MiB."""
MAX_FAILURES: Final = 20
OUTPUT_CHARS: Final = 4_000
_PLAIN: Final = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*", re.ASCII)
"""Names without characters of markup."""


def markdown(runs: Sequence[LocatedRun]) -> str:
    """Return the summary, with a section for each run."""
    return "".join("\n".join(_section(run)).rstrip() + "\n\n" for run in runs)


def _section(run: LocatedRun) -> Iterator[str]:
    record = run.record
    mark = {"passed": UNICODE.passed, "awaiting": UNICODE.running}.get(record.status, UNICODE.failed)
    yield f"### {mark} {code(record.workflow)} on {code(record.spec)} {record.status}"
    yield ""
    yield _facts(record)
    yield ""
    yield from _result(run)
    yield from _table(record)
    yield from turns_table(record, partial(code, in_table=True))
    yield from _remarks(record)
    yield from _failures(record)


def _facts(record: RunRecord) -> str:
    *counts, cost, took = run_facts(record)
    budget = "" if record.max_budget is None else f" of {format_usd_sum(record.max_budget)}"
    facts = [*counts, f"**{cost}**{budget}", took]
    if record.resumed:
        facts.append("resumed" if record.resumed == 1 else f"resumed {record.resumed} times")
    if record.origin:
        facts.append(f"reused results of run {code(record.origin)}")
    return ", ".join(facts)


def _result(run: LocatedRun) -> Iterator[str]:
    """Yield lines about the contents of the branch and the next command."""
    record, changed = run.record, run.changed
    if record.reason:
        yield from (code(record.reason), "")
    if changed is not None:
        added, removed = (sum(getattr(file, name) or 0 for file in changed) for name in ("added", "removed"))
        size = (
            f"**{plural(len(changed), 'file')} changed, +{added} -{removed}**"
            if changed
            else f"**Nothing changed: {NOTHING_TO_MERGE}**"
        )
        branch = record.branch or branch_name(record.run_id)
        yield from (f"{size} on branch {code(branch)}, based on {code(record.base[:10])}", "")
    for step, (approve, _) in run.to_approve():
        yield from (f"{code(step)} waits for approval: {code(approve)}", "")
    if record.status != "passed":
        yield from (f"Resume the run with {code(f'pytest --gump-resume={record.run_id}')}", "")
    elif changed is None or changed:
        yield from (f"Merge the branch with {code(f'gump apply {record.run_id}')}, or push it", "")


# -- steps -------------------------------------------------------------------------------------------------------


def _table(record: RunRecord) -> Iterator[str]:
    steps = [*record.steps.values()]
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{'|'.join(' ---: ' if name in NUMBERS else ' --- ' for name in HEAD)}|"
    for step in steps[:MAX_STEPS]:
        yield f"| {' | '.join(_row(step))} |"
    yield ""
    if len(steps) > MAX_STEPS:
        yield from (f"and {len(steps) - MAX_STEPS} more steps", "")


def cells(step: StepRecord) -> tuple[str, ...]:
    """Return mark, path, result, agent, attempts, cost, turns and time of a step. A reused step has no figures."""
    marks = {"passed": UNICODE.passed, "failed": UNICODE.failed, "awaiting": UNICODE.running}
    mark = marks.get(step.status, UNICODE.skipped)
    start = mark, step.path, _outcome(step, step.outcome)
    if not step.attempts:
        return (*start, *[""] * 5)
    total, agent = step.total, agent_name(step.agent, step.attempts[-1].mode)
    if not step.own:
        return (*start, agent, *[""] * 4)
    paid = (total.cost_text, str(total.turns)) if step.agent else ("", "")
    return (*start, agent, str(len(step.own)), *paid, format_duration(total.duration_s))


def _row(step: StepRecord) -> tuple[str, ...]:
    mark, path, _, agent, *figures = cells(step)
    own = (_word(agent), *figures, _gates(step)) if step.own else [""] * 6
    return (mark, code(path, in_table=True), _outcome(step, _word(step.outcome)), *own)


def _outcome(step: StepRecord, shown: str) -> str:
    return f"{shown}, reused" if step.attempts and not step.own else shown


def _gates(step: StepRecord) -> str:
    """List the gates of the last attempt. Those that did not pass have their status."""
    return ", ".join(
        _word(gate.name) if gate.status == "passed" else f"{_word(gate.name)} **{gate.status}**"
        for gate in gates_of(step)
    )


def gates_of(step: StepRecord) -> tuple[GateResult, ...]:
    last = step.attempts[-1].result if step.attempts else None
    return last.gates if last is not None else ()


# -- remarks for reviewers -----------------------------------------------------------------------------------------


def _remarks(record: RunRecord) -> Iterator[str]:
    """Yield lines about gates that fail on the base, skipped gates, and steps without changes."""
    lines = [
        f"- {_word(gate['name'])} already fails on the base: {code(gate['summary'])}"
        for gate in (record.preflight or {}).get("gates", ())
        if gate["status"] == "failed"
    ]
    lines += [
        f"- {_word(gate.name)} was skipped in {code(step.path)}: {code(gate.summary)}"
        for step in record.steps.values()
        for gate in gates_of(step)
        if gate.status == "skipped"
    ]
    lines += [
        f"- {code(step.path)} changed no file: {code(reason)}"
        for step in record.steps.values()
        if (reason := reason_of_no_change(step))
    ]
    yield from (*lines[:MAX_STEPS], "") if lines else ()


def _failures(record: RunRecord) -> Iterator[str]:
    failed = [step for step in record.steps.values() if step.status == "failed"]
    for step in failed[:MAX_FAILURES]:
        attempts = plural(len(step.attempts), "attempt")
        yield f"#### {UNICODE.failed} {code(step.path)}: {_word(step.outcome)} after {attempts}"
        yield ""
        if step.reason:
            yield from (code(step.reason), "")
        for gate in _failing(step):
            yield from _output(gate)
    if len(failed) > MAX_FAILURES:
        yield from (f"and {plural(len(failed) - MAX_FAILURES, 'more failed step')}", "")


def _failing(step: StepRecord) -> list[GateResult]:
    """Return failed gates with output, from the newest attempt with failed gates."""
    results = [attempt.result for attempt in step.attempts if attempt.result is not None]
    failing = ([gate for gate in attempt.gates if gate.status in {"failed", "error"}] for attempt in reversed(results))
    return [gate for gate in next(filter(None, failing), []) if gate.output.strip()]


def _output(gate: GateResult) -> Iterator[str]:
    name = html.escape(short(gate.name))
    yield f"<details><summary>Output of <code>{name}</code></summary>"
    yield ""
    yield from block(bounded_text(gate.output, OUTPUT_CHARS))
    yield from ("", "</details>", "")


# -- untrusted text ------------------------------------------------------------------------------------------------


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span. In tables, a broken bar replaces `|`, which ends a cell even if escaped."""
    plain = short(text)
    if in_table:
        plain = plain.replace("|", "\N{BROKEN BAR}")
    if not plain:
        return ""
    fence = "`" * (_longest_run(plain) + 1)
    space = " " if "`" in (plain[0], plain[-1]) else ""
    return f"{fence}{space}{plain}{space}{fence}"


def block(text: str) -> list[str]:
    """Return text as a code block with a fence that is longer than any in the text."""
    lines = clean_text(text).splitlines()
    fence = "`" * max(3, 1 + max(map(_longest_run, lines), default=0))
    return [f"{fence}text", *lines, fence]


def _word(text: str) -> str:
    """Return a name unchanged if it has no markup, otherwise as a code span for a cell."""
    name = short(text)
    return name if _PLAIN.fullmatch(name) else code(name, in_table=True)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
