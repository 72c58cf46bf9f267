"""Apply the events of a ledger to the record of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
from pytest_gump.text import listed
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_gump.engine.record.ledger import Event


def fold(events: Iterable[Event]) -> RunRecord:
    """Return the record after all events; unknown events are ignored."""
    record = RunRecord()
    for event in events:
        advance(record, event)
    return record


def advance(record: RunRecord, event: Event) -> None:
    """Apply one event to the record."""
    if event["event"] == "approval":  # `gump approve` may write it long after the session has ended
        _approval(record, event)
        return
    if record.is_waiting and event["event"] != "run_resumed":
        record.idle_s += max(0.0, event["at"] - record.last_at)
    apply_event = _APPLY.get(event["event"])
    if apply_event is not None:
        apply_event(record, event)
    record.heads |= {record.head} - {""}
    record.last_at = event["at"]
    waits = record.finished is None and bool(record.waiting_by_step or record.waiting_for_person)
    record.is_waiting = waits and all(attempt.usage is not None for attempt in record.attempts)


def _run_started(record: RunRecord, event: Event) -> None:
    record.started = event["at"]
    for name in ("run_id", "workflow", "spec", "base", "branch", "pid", "pid_created", "max_budget"):
        setattr(record, name, event[name])
    record.head = event["base"]
    record.branches.add(record.branch)
    record.origin = event.get("origin")


def _run_resumed(record: RunRecord, event: Event) -> None:
    record.idle_s = event.get("idle_s", record.idle_s + max(0.0, event["at"] - record.last_at))
    record.resumed += 1
    record.options = event.get("options", record.options)
    record.waiting_by_step.clear()
    record.waiting_for_person.clear()
    if record.stopped_at_preflight:
        record.preflight = None  # the resumed run has its own preflight
    record.status, record.reason, record.finished, record.unchanged = "running", "", None, False
    for name in ("pid", "pid_created", "max_budget"):
        setattr(record, name, event[name])
    _reuse(record, event)


def _reuse(record: RunRecord, event: Event) -> None:
    """Mark the reused results, and note why the other steps run again."""
    record.head = event["head"]
    record.reused = reused = frozenset(event["reused"])
    for attempt in record.attempts:
        attempt.superseded = attempt.number not in reused
    record.steps = {path: step for path, step in record.steps.items() if step.attempts}
    for step in record.steps.values():
        valid = [attempt for attempt in step.attempts if not attempt.superseded]
        why, verdict = event["again"].get(step.path, ""), valid[-1].verdict if valid else ""
        if why or verdict not in {"passed", "failed"}:
            step.status, step.reason = "skipped", f"will run again: {why}" if why else ""
        elif verdict == "passed":
            step.status, step.reason = "passed", ""
        _open_validators(step, valid, event)


def _session_copied(record: RunRecord, event: Event) -> None:
    for step in record.steps.values():
        _open_validators(step, step.attempts, event)


def _open_validators(step: StepRecord, valid: Sequence[AttemptRecord], event: Event) -> None:
    """Let the validators of the newest valid attempt run; without a validator left in the workflow, it has passed."""
    last = valid[-1] if valid else None
    if last is None or not last.lacks_answers or step.path in event.get("again", ()):
        return
    last.wait_for_answers()
    if last.number in event.get("validating", ()):
        step.status, step.reason, step.ended = "running", "", ""
    else:
        last.verdict = step.status = step.ended = "passed"
        step.reason = ""


def _limit_recalled(record: RunRecord, event: Event) -> None:
    attempt = record.attempts[event["number"] - 1]
    attempt.until, record.waiting_by_step[attempt.step] = event["until"], attempt


def _preflight(record: RunRecord, event: Event) -> None:
    record.preflight = event


def _attempt_started(record: RunRecord, event: Event) -> None:
    attempt = AttemptRecord(
        number=event["number"],
        step=event["step"],
        attempt=event["attempt"],
        mode=event["mode"],
        agent=event["agent"],
        entry=event["entry"],
        started=event["at"],
        step_base=event["step_base"],
        slot=event.get("slot") or "",
        session_resumed=event.get("session_resumed", False),
        reused=event.get("reused") is not None,
    )
    record.attempts.append(attempt)
    record.waiting_by_step.pop(attempt.step, None)
    step = record.steps.setdefault(attempt.step, StepRecord(attempt.step, attempt.mode))
    step.attempts.append(attempt)
    step.status, step.reason, step.ended = "running", "", ""


def _attempt_finished(record: RunRecord, event: Event) -> None:
    attempt = record.end_attempt(event["number"], event["result"], event.get("presumed_usd") or 0.0)
    attempt.folder = event["folder"]


def _attempt_judged(record: RunRecord, event: Event) -> None:
    record.attempts[event["number"] - 1].wait_for_answers()


def _decided(record: RunRecord, event: Event) -> None:
    _settle(record, event)
    validated = event.get("validated")
    if validated is not None:
        record.attempts[validated["number"] - 1].add_answers(validated)
        _settle(record, validated_event(event))


def validated_event(event: Event) -> Event:
    """Return the decision about the attempt whose last validator ended with this event, as an event of its own."""
    return {"event": "decided", "at": event["at"], "head": event["head"], "replanned": None, **event["validated"]}


def _settle(record: RunRecord, event: Event) -> None:
    attempt = record.attempts[event["number"] - 1]
    record.waiting_for_person.discard(attempt.number)
    attempt.verdict, attempt.why, attempt.until = event["verdict"], event["why"], event.get("until")
    last = next(reversed(event.get("decisions", ())), {"scope": attempt.step, "kind": ""})
    attempt.scope, attempt.decided = last["scope"], last["kind"]
    attempt.review(event)
    attempt.approval = event.get("approval")
    record.head = event["head"]
    if attempt.verdict == "waited":
        record.waiting_by_step[attempt.step] = attempt
    step = record.steps[attempt.step]
    whole = record.steps[event["replanned"]] if event["replanned"] else step
    outcome, reason = _end_of(event, whole.path)
    if attempt.verdict in {"passed", "failed"}:
        step.status = attempt.verdict
    elif attempt.ended_validator:
        step.status = "failed"
    elif step.status == "awaiting":
        step.status, step.reason, step.ended = "running", "", ""
    if attempt.verdict in {"passed", "failed", "again"}:
        step.ended, step.reason = outcome, reason
    if whole is not step and attempt.verdict in {"failed", "again"}:
        whole.ended, whole.reason = outcome, f"{attempt.step}: {reason}"
        whole.status = "failed" if attempt.verdict == "failed" else whole.status
    _give_up(record, event.get("failed", ()))


def _awaiting(record: RunRecord, event: Event) -> None:
    attempt = record.attempts[event["number"] - 1]
    attempt.verdict = "awaiting"
    record.approvals.ask(event)
    record.waiting_for_person.add(attempt.number)
    for step in _waiting_steps(record, attempt.step):
        step.status = step.ended = "awaiting"
        step.reason = f"waits for approval of {event['commit'][:10]}"


def _approval(record: RunRecord, event: Event) -> None:
    answer = record.approvals.answer(event)
    for step in _waiting_steps(record, answer.step):
        if step.status == "awaiting":
            step.reason = answer.summary
    if record.status == "awaiting":
        left = listed([question.about for question in record.unanswered])
        resume = f"pytest --gump-resume={record.run_id}"
        record.reason = f"{left} must be approved first" if left else f"answered; {resume} continues the run"


def _waiting_steps(record: RunRecord, path: str) -> Iterator[StepRecord]:
    """Yield the step with a path, and the step whose attempt its validator checks."""
    found = (record.steps.get(str(each)) for each in (path, StepPath.parse(path).checked) if each is not None)
    return (each for each in found if each is not None)


def _stalled(record: RunRecord, event: Event) -> None:
    _give_up(record, event["failed"])


def _give_up(record: RunRecord, paths: Iterable[str]) -> None:
    """Let other steps fail. A run that starts from a step of another run may not have all of them."""
    for path in paths:
        if path in record.steps:
            record.steps[path].status = "failed"


def _end_of(event: Event, path: str) -> tuple[str, str]:
    """Return the outcome and reason that the step ends with if no attempt follows.

    They come from the last decision of the step's own policy to stop, or else from the attempt.
    """
    own = (
        decision for decision in event.get("decisions", ()) if decision["scope"] == path and decision["kind"] == "stop"
    )
    stop = next(own, {"outcome": None, "reason": ""})
    return stop["outcome"] or event["outcome"], stop["reason"] or event["reason"]


def _skipped(record: RunRecord, event: Event) -> None:
    for path in event["steps"]:
        step = record.steps.setdefault(path, StepRecord(path, ""))
        step.status, step.reason = "skipped", event["reason"]


def _run_finished(record: RunRecord, event: Event) -> None:
    record.finished = event["at"]
    record.status, record.reason, record.head = event["status"], event["reason"], event["head"]
    record.unchanged = bool(event.get("unchanged", record.head == record.base))
    record.branch = event.get("branch", record.branch)
    record.branches.add(record.branch)
    record.change = event.get("change")
    record.checkout_changed = tuple(event.get("checkout_changed", ()))


def _branch_left(record: RunRecord, event: Event) -> None:
    record.branches_left[event["branch"]] = event["why"]
    record.branch = event["kept"]


def _applied(record: RunRecord, event: Event) -> None:
    record.applied = event["commit"]
    _rest(record, event)


def _discarded(record: RunRecord, event: Event) -> None:
    record.discarded = True
    _rest(record, event)


def _rest(record: RunRecord, event: Event) -> None:
    """Count the time until a command on an interrupted run as idle."""
    if record.finished is None and not record.is_waiting:
        record.idle_s += max(0.0, event["at"] - record.last_at)


_APPLY = {
    "run_started": _run_started,
    "preflight": _preflight,
    "attempt_started": _attempt_started,
    "attempt_finished": _attempt_finished,
    "attempt_judged": _attempt_judged,
    "decided": _decided,
    "awaiting": _awaiting,
    "stalled": _stalled,
    "skipped": _skipped,
    "run_resumed": _run_resumed,
    "session_copied": _session_copied,
    "reuse_refused": _reuse,
    "limit_recalled": _limit_recalled,
    "branch_left": _branch_left,
    "run_finished": _run_finished,
    "applied": _applied,
    "discarded": _discarded,
}
