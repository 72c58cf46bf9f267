"""Text lines of the terminal output of a run. Pure functions."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.engine.reporting.notices import no_change, reservations, skipped_gates
from pytest_gump.text import fit, listed, one_line, pad, width
from pytest_gump.units import format_duration, format_usd, plural
from pytest_gump.workflow.model import VALIDATE
from pytest_gump.workflow.path import REPLAN, StepPath

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_gump.agents.usage import Total
    from pytest_gump.engine.record.approvals import Answer
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.engine.schedule.records import LeafState
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult
    from pytest_gump.text import Marks


MOST_FAILED = 10
"""Limit of steps that a summary lists."""
_WITHOUT_FAILURE = {"passed", "skipped", "running", "awaiting"}
_WITHOUT_DIFF: Final = {"plan", "review", "artifact"}
"""Modes of steps whose result is not a change of files."""


class Columns(NamedTuple):
    """Column widths of a run's lines."""

    name: int = 17
    agent: int = 14


LAYOUT: Final = Columns()
WIDEST_NAME: Final = 28
WIDEST_AGENT: Final = 24
COMMAND_COLUMNS: Final = 31


def head_line(record: RunRecord, how: str) -> str:
    return f"{record.workflow} on {record.spec}: {how} {record.run_id}, base {record.base[:10]}"


def columns_for(paths: Iterable[StepPath], agents: Iterable[str]) -> Columns:
    """Return column widths for the names of a run. Longer names than the limit are cut."""
    names = (2 * (len(path.names) - 1) + width(path.name) for path in paths)
    return Columns(
        name=min(WIDEST_NAME, max((LAYOUT.name, *names))),
        agent=min(WIDEST_AGENT, max((LAYOUT.agent, *map(width, agents)))),
    )


def attempt_lines(
    attempt: AttemptRecord, result: AttemptResult, marks: Marks, columns: int, layout: Columns = LAYOUT
) -> list[str]:
    """Lines of a finished attempt: mark, name, agent, mode, result, cost, time and reason.

    On a narrow terminal, the agent is omitted. Parts that still do not fit are on a second line.
    """
    path = StepPath.parse(attempt.step)
    indent = "  " * (len(path.names) - 1)
    head = f"{indent}{mark_of(attempt, marks)} {_cell(path.name, max(1, layout.name - len(indent)))}"
    what, spent = _work(attempt, result, layout)
    rest = result.reason or _remarks(attempt, result)
    line = f"{head} {what[0]}"
    for text in what:
        line = f"{head} {text}"
        if width(line) + (width(spent) + 1 if spent else 0) <= columns:
            line, spent = f"{line} {spent}", ""
            break
    line, rest = line.rstrip(), "  ".join(part for part in (spent.strip(), rest) if part)
    if rest and width(line) + 2 + width(rest) <= columns:
        return [f"{line}  {rest}"]
    return [fit(line, columns), *([fit(f"{indent}    {rest}", columns)] if rest else [])]


def _work(attempt: AttemptRecord, result: AttemptResult, layout: Columns) -> tuple[Sequence[str], str]:
    """Return the middle columns, once with and once without the agent, and cost and time."""
    if attempt.mode == "merge":
        merged = plural(len(result.changed), "file") if result.changed else "nothing new"
        return ["" if result.reason else merged], ""
    if attempt.mode == "approve":
        done = "" if result.reason or attempt.verdict == "awaiting" else "approved"
        return [f"{pad('approval', layout.agent)} {done}", done], ""
    if attempt.agent is None:
        gates = " + ".join(gate.name for gate in result.gates if gate.status != "skipped")
        done = f"{gates}  pass" if gates and result.passed else gates or ("" if result.gates_due else result.outcome)
        return [f"{pad('gate', layout.agent)} {done}", done], ""
    done = f"{pad(attempt.mode, 6)} {pad(_detail(result), 9)}"
    time = format_duration(result.timings.total_s)
    spent = f"{pad(_cost(result), 7, right=True)} {pad(time, 4, right=True)}"
    return [f"{_cell(attempt.agent, layout.agent)} {done}", done], spent


def _cell(text: str, columns: int) -> str:
    return pad(fit(text, columns), columns)


def failure_lines(name: str, reason: str, marks: Marks, columns: int) -> list[str]:
    """Lines of a failure outside any step. A reason that does not fit is on a second line."""
    head = f"{marks.failed} {name}"
    line = f"{pad(head, LAYOUT.name + 2)} {reason}"
    return [line] if width(line) <= columns else [fit(head, columns), fit(f"    {reason}", columns)]


def groups_around(path: StepPath, foreach: Collection[str]) -> tuple[StepPath, ...]:
    """Return the groups around a step, outermost first, each with its plan items.

    `foreach` are the static paths of the groups that run once for each plan item. A replan does so too. The group of a
    merge has the name of the merged member.
    """
    groups: list[StepPath] = []
    items, innermost = 0, len(path.names) - 1
    for depth in range(1, innermost + 1):
        names = path.names[:depth]
        items += "::".join(names) in foreach or names[-1].endswith(REPLAN)
        groups.append(StepPath(names, path.items if depth == innermost else path.items[:items]))
    return tuple(groups)


def group_line(path: StepPath, marks: Marks, columns: int) -> str:
    indent = "  " * (len(path.names) - 1)
    return fit(f"{indent}{marks.group} {path.leaf}", columns)


def step_line(mark: str, step: str, text: str, columns: int) -> str:
    """Line of a step without an attempt line: it was skipped, or it fails after its last attempt was shown."""
    path = StepPath.parse(step)
    indent = "  " * (len(path.names) - 1)
    return fit(f"{indent}{mark} {pad(path.leaf, max(1, LAYOUT.name - len(indent)))} {text}", columns)


def reuse_lines(
    record: RunRecord, leaves: Sequence[LeafState], reruns: Mapping[StepPath, str], marks: Marks
) -> list[str]:
    """A line for each step of a resumed run. Lines are never cut."""
    answers = {question.about: _answer(record.approvals.answer_to(question)) for question in record.open_questions}
    texts = ((leaf.path, *_reuse(leaf, reruns.get(leaf.path), answers.get(str(leaf.path)), marks)) for leaf in leaves)
    return [f"{pad(mark, width(marks.arrow))} {pad(str(path), 32)} {text}" for path, mark, text in texts]


def _answer(answer: Answer | None) -> str:
    return answer.summary if answer is not None else "to approve"


def _reuse(leaf: LeafState, why: str | None, answer: str | None, marks: Marks) -> tuple[str, str]:
    """Return mark and text of a step.

    `why` is the reason why it runs again, if it does. `answer` is the answer of a person, if the step needs one.
    A step that has `failed` can start again when the other members of its parallel group have ended.
    """
    if why is not None:
        return marks.skipped, f"re-run: {one_line(why)}"
    if leaf.status == "passed":
        return marks.passed, "reused"
    if leaf.status == "failed":
        return marks.failed, "failed"
    if answer is not None:
        return marks.arrow, answer
    if leaf.validators is None:
        return marks.arrow, "to do"
    return marks.arrow, f"to check by {listed(leaf.validators)}" if leaf.validators else "to approve"


def run_line(record: RunRecord, marks: Marks) -> str:
    """Return `run passed — 3 items, 6 steps, 1 escalation, $1.1884, 13m`."""
    return f"run {record.status} {marks.dash} {', '.join(run_facts(record))}"


def run_facts(record: RunRecord) -> list[str]:
    """Return the counts that are not zero, the cost and the time.

    If a plan has items, only steps of items are counted. Merges and the steps of validators are never counted.
    """
    total = record.total
    own = [step for step in record.steps.values() if step.attempts and step.mode != "merge"]
    paths = map(StepPath.parse, (step.path for step in own))
    begun = [path for path in paths if path.validator is None]
    in_items = [path for path in begun if path.items]
    counts = [
        plural(len({path.items for path in in_items}), "item"),
        plural(len(in_items or begun), "step"),
        plural(record.retries - record.escalations, "retry", "retries"),
        plural(record.escalations, "escalation"),
        plural(record.failovers, "failover"),
        plural(record.waits, "wait for a limit", "waits for a limit"),
    ]
    cost = format_usd(total.cost_usd, estimated=total.estimated)
    if total.unknown:
        cost += f" + {plural(total.unknown, 'attempt')} of unknown cost"
    return [*(count for count in counts if not count.startswith("0 ")), cost, format_duration(record.duration_s)]


def more_money_text(total: Total) -> str:
    """Describe the resume command of a run whose budget is spent, with the amount that unknown costs count as."""
    presumed = f"; unknown costs count as {format_usd(total.presumed_usd)}" if total.presumed_usd else ""
    return f"resume with a higher budget{presumed}"


def next_commands(record: RunRecord, *, is_only: bool) -> list[tuple[str, str]]:
    """Return the commands to run after a run, each with its purpose.

    They name the run unless it is the only one of the session.
    """
    of_run = "" if is_only else f" {record.run_id}"
    report = (f"gump report{of_run}", "full metrics")
    if record.status == "passed":
        return [report] if record.unchanged else [(f"gump apply{of_run}", "merge the result"), report]
    failed = next((step for step in record.steps.values() if step.status == "failed"), None)
    log = [] if failed is None else [(f"gump log{of_run} '{failed.path}'", _what_log_shows(failed))]
    resume = f"pytest --gump-resume{'' if is_only else f'={record.run_id}'}"
    if record.status == "awaiting":
        return [*log, *_approval_commands(record, of_run), (resume, "then continue the run")]
    if record.max_budget is not None and record.total.bound_usd >= record.max_budget:
        return [*log, report, (f"{resume} --gump-max-budget=USD", more_money_text(record.total))]
    return [*log, report, (resume, "resume the run")]


def _what_log_shows(failed: StepRecord) -> str:
    result = failed.attempts[-1].result if failed.attempts else None
    has_no_agent = result is not None and (result.agent is None or result.never_started)
    return "why it failed" if has_no_agent else "what the agent did, and why it failed"


def _approval_commands(record: RunRecord, of_run: str) -> list[tuple[str, str]]:
    waiting = record.open_questions
    commands = []
    for question in waiting[:MOST_FAILED]:
        quoted = shlex.quote(question.about)
        which = f" {quoted}" if waiting[1:] else ""
        show = "log" if record.steps[question.about].mode in _WITHOUT_DIFF else "diff"
        commands += [
            (f"gump {show}{of_run} {quoted}", "what to approve"),
            (f"gump approve{of_run}{which}", f'approve it{question.until}, or add --reject "why"'),
        ]
    return commands


def reservation_lines(record: RunRecord, marks: Marks, columns: int) -> list[str]:
    """Lines about skipped gates and missing changes of steps that passed."""
    found = [fit(f"{marks.skipped} {path}: {text}", columns) for path, text in reservations(record)]
    rest = len(found) - MOST_FAILED
    return [*found[:MOST_FAILED], f"and {rest} more"] if rest > 0 else found


def command_lines(commands: Sequence[tuple[str, str]], marks: Marks) -> list[str]:
    """Lines of commands to run next, each with its purpose. Commands are never cut."""
    columns = max((COMMAND_COLUMNS, *(width(command) for command, _ in commands)))
    return [f"{marks.arrow} {pad(command, columns)}  {what}" for command, what in commands]


def failed_lines(record: RunRecord, marks: Marks, columns: int) -> list[str]:
    """Lines of steps that neither passed nor were skipped, each with its outcome."""
    failed = [step for step in record.steps.values() if step.outcome not in _WITHOUT_FAILURE]
    return _end_lines(failed, marks.failed, columns)


def waiting_lines(record: RunRecord, marks: Marks, columns: int) -> list[str]:
    """Lines of steps that wait for a person."""
    waiting = [step for step in record.steps.values() if step.outcome == "awaiting" and not step.is_question]
    return _end_lines(waiting, marks.running, columns)


def _end_lines(steps: Sequence[StepRecord], mark: str, columns: int) -> list[str]:
    lines = [
        fit(f"{mark} {step.path}: {step.outcome}{f': {step.reason}' if step.reason else ''}", columns)
        for step in steps[:MOST_FAILED]
    ]
    rest = len(steps) - MOST_FAILED
    return [*lines, f"and {plural(rest, 'more step')}"] if rest > 0 else lines


def validator_gates(result: AttemptResult) -> list[GateResult]:
    """Return what the validators found in an attempt."""
    return [gate for gate in result.gates if gate.name.startswith(f"{VALIDATE}:")]


def named_lines(result: AttemptResult) -> list[str]:
    """Lines about changes of an attempt that a person should review."""
    read = [f"changed what gates read: {', '.join(result.gate_config)}"] if result.gate_config else []
    return [*read, *result.named_changes]


def to_look_at(record: RunRecord) -> list[str]:
    """Lines about changes in the result of the run that a person should review."""
    kept = [attempt for attempt in record.attempts if attempt.verdict == "passed" and not attempt.superseded]
    results = [(attempt.step, attempt.result) for attempt in kept if attempt.result is not None]
    found = [f"{step}: {line}" for step, result in results for line in named_lines(result)]
    rest = len(found) - MOST_FAILED
    return [*found[:MOST_FAILED], *([f"and {rest} more in gump report"] if rest > 0 else [])]


def mark_of(attempt: AttemptRecord, marks: Marks) -> str:
    known = {"passed": marks.passed, "approved": marks.passed, "failed": marks.failed, "": marks.failed}
    known |= {"awaiting": marks.running, "judged": marks.arrow}
    return marks.failed if attempt.ended_validator else known.get(attempt.verdict, marks.retried)


def _cost(result: AttemptResult) -> str:
    """Cost of an attempt; empty if it used nothing."""
    usage = result.usage
    if usage.cost_usd is None and usage.is_empty:
        return ""
    return format_usd(usage.cost_usd, estimated=usage.is_estimated)


def _detail(result: AttemptResult) -> str:
    if result.plan is not None:
        return plural(len(result.plan), "item")
    if result.verdict is not None:
        return "pass" if result.verdict.passed else "no pass"
    return "not started" if result.never_started else plural(result.usage.turns, "turn")


def _remarks(attempt: AttemptRecord, result: AttemptResult) -> str:
    """Remarks on an attempt that passed: number, skipped gates, and the reason for no change."""
    skipped = ", ".join(skipped_gates(result))
    parts = (
        "" if attempt.mode in {"gate", "approve"} else _suffix(attempt),
        "its validators run next" if attempt.verdict == "judged" else "",
        f"{skipped} skipped" if skipped else "",
        f"no change: {reason}" if (reason := no_change(result)) else "",
        {"awaiting": "waits for approval", "approved": "approved, its gates follow"}.get(attempt.verdict, ""),
    )
    return "  ".join(part for part in parts if part)


def _suffix(attempt: AttemptRecord) -> str:
    if attempt.attempt == 1:
        return ""
    how = {"escalate": "escalated, ", "restart": "restarted, ", "replan": "replanned, "}.get(attempt.entry, "")
    return f"({how}attempt {attempt.attempt})"
