"""Write the report of `gump report` as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_gump.agents import prices
from pytest_gump.cli.output import STATUS_COLOURS
from pytest_gump.engine.record.event_schema import NOTHING_TO_MERGE
from pytest_gump.engine.reporting.notices import around
from pytest_gump.order import agent_name
from pytest_gump.text import listed
from pytest_gump.units import format_duration, format_usd, format_usd_sum, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_gump.cli.output import Out

    Data = Mapping[str, Any]

COUNTERS = ("input", "cache_read", "cache_write", "output", "reasoning", "total")
HOW = {
    "same": "retried",
    "escalate": "escalated",
    "replan": "replanned",
    "restart": "restarted",
    "group": "in a new pass",
    "resume": "resumed",
    "recheck": "gates run again",
    "gates": "its gates",
}

TURN_KINDS: Final = ("write", "command", "other", "text")
STALLS: Final = {
    "tools_failed": "failed",
    "tools_repeated": "repeated",
    "tools_corrected": "corrected",
    "failure_loops": "loops",
}
STALLS_HEAD: Final = (*TURN_KINDS, *STALLS.values(), "first write", "silence")
TURNS_HEAD: Final = ("step", "no", "turns", *STALLS_HEAD)


def write_report(data: Data, out: Out) -> None:
    _head(data, out)
    _work(data, out)
    _tokens(data, out)
    _contexts(data, out)
    _turns(data, out)
    _agents(data, out)
    _marks(data, out)
    _reservations(data, out)
    _approvals(data, out)
    _reasons(data, out)
    _notes(data, out)


def _head(data: Data, out: Out) -> None:
    run = data["run"]
    reason = f": {run['reason']}" if run["reason"] else ""
    out.text(f"run {run['id']} {run['status']}{reason}", colour=STATUS_COLOURS.get(run["status"], "bold"))
    facts = [f"{run['workflow']} on {run['spec']}", f"base {run['base'][:10]}", _time(data)]
    facts += _counts(data["totals"])
    if run["resumed"]:
        facts.append("resumed" if run["resumed"] == 1 else f"resumed {run['resumed']} times")
    if run["origin"]:
        facts.append(f"reused results of run {run['origin']}")
    if run["max_budget_usd"] is not None:
        facts.append(f"budget {format_usd(run['max_budget_usd'])}")
    if run["replay"]:
        facts.append("replayed from a cassette")
    if run["dirty_base"]:
        facts.append("started from uncommitted changes")
    if run["applied"]:
        facts.append(f"applied as {run['applied'][:10]}")
    if run["discarded"]:
        facts.append("discarded")
    out.text(", ".join(facts), indent="  ")
    for line in around(run["branch"], run["branches_left"], run["checkout_changed"]):
        out.text(line, indent="  ", colour="yellow")
    for gate in (data["preflight"] or {}).get("gates") or ():
        if gate["status"] != "passed":
            word = {"failed": "already fails on base", "error": "preflight"}.get(gate["status"], gate["status"])
            out.line(f"  {word}: {gate['name']}: {gate['summary']}", "yellow")


def _time(data: Data) -> str:
    """Duration of the run and of its preflight, which belongs to no attempt."""
    took = format_duration(data["run"]["duration_s"])
    preflight = (data["preflight"] or {}).get("duration_s")
    return took if preflight is None else f"{took} (preflight {format_duration(preflight)})"


def _work(data: Data, out: Out) -> None:
    head = ("step", "no", "agent", "outcome", "cost", "turns", "tools", "time", "files", "lines")
    rows = [row for step in data["steps"] for row in _work_rows(step)]
    totals = data["totals"]
    sums = (_cost(totals), str(totals["turns"]), str(totals["tool_calls"]), format_duration(totals["duration_s"]))
    changed = (str(totals["files_changed"]), _lines(totals)) if totals["files_changed"] else ("", "")
    rows.append(("total", str(totals["attempts"]), "", "", *sums, *changed))
    out.heading("attempts")
    right = ("no", "cost", "turns", "tools", "time", "files", "lines")
    out.table(head, rows, right=right, optional=("tools", "files"))


def _work_rows(step: Data) -> Iterator[tuple[str, ...]]:
    if not step["attempts"]:
        yield (step["path"], "", "", step["status"], "", "", "", "", "", "")
    for number, attempt in enumerate(step["attempts"]):
        name = "" if number else step["path"]
        agent = agent_name(attempt["agent"], attempt["mode"])
        if "cost" not in attempt or attempt["reused"]:
            yield (name, str(attempt["attempt"]), agent, _outcome(attempt), *[""] * 6)
            continue
        worked = attempt["agent"] is not None
        yield (
            name,
            str(attempt["attempt"]),
            agent,
            _outcome(attempt),
            _cost(attempt) if worked and _consumed(attempt) else "",
            str(attempt["turns"]) if worked else "",
            str(attempt["tool_calls"]) if worked else "",
            format_duration(attempt["duration_s"]),
            str(attempt["files_changed"]) if attempt["files_changed"] else "",
            _lines(attempt) if attempt["files_changed"] else "",
        )


def _lines(data: Data) -> str:
    return f"+{data['lines_added']} -{data['lines_removed']}"


def _outcome(attempt: Data) -> str:
    """Outcome of an attempt, and whether a resumed run reused or superseded it."""
    fate = ", reused" if attempt["reused"] else ", superseded" if attempt["superseded"] else ""
    return f"{attempt['outcome']}{fate}"


def _consumed(attempt: Data) -> bool:
    """True if the agent ran. Otherwise the attempt has no cost, rather than an unknown cost."""
    return bool(attempt["cost"]["usd"] is not None or attempt["turns"] or attempt["tokens"]["total"])


def _cost(data: Data) -> str:
    cost = data["cost"]
    if cost["usd"] is None:
        return format_usd(None)
    partly = cost["provenance"] == "partly_unknown"
    return format_usd_sum(cost["usd"], estimated=cost["provenance"] == "estimated", has_unknown=partly)


def _counts(totals: Data) -> list[str]:
    counts = (
        (totals["retries"] - totals["escalations"], "retry", "retries"),
        (totals["escalations"], "escalation", "escalations"),
        (totals["failovers"], "failover", "failovers"),
        (totals["waits"], "wait for a limit", "waits for a limit"),
        *((count, f"stop by {guard}", f"stops by {guard}") for guard, count in totals["guards"].items()),
    )
    return [plural(number, singular, many) for number, singular, many in counts if number]


def _tokens(data: Data, out: Out) -> None:
    names = tuple(name.replace("_", " ") for name in COUNTERS)
    rows = [row for step in data["steps"] for row in _token_rows(step)]
    if not rows:
        return
    rows.append(("total", "", *(str(data["totals"]["tokens"][name]) for name in COUNTERS)))
    out.heading("tokens")
    out.table(("step", "no", *names), rows, right=("no", *names))


def _token_rows(step: Data) -> Iterator[tuple[str, ...]]:
    worked = [
        attempt
        for attempt in step["attempts"]
        if attempt["agent"] is not None and "tokens" in attempt and not attempt["reused"]
    ]
    for number, attempt in enumerate(worked):
        yield (
            "" if number else step["path"],
            str(attempt["attempt"]),
            *(str(attempt["tokens"][name]) for name in COUNTERS),
        )


def _contexts(data: Data, out: Out) -> None:
    rows = [row for step in data["steps"] for row in _context_rows(step)]
    if rows:
        out.heading("longest context")
        out.table(("step", "no", "model", "tokens"), rows, right=("no",))


def _context_rows(step: Data) -> Iterator[tuple[str, ...]]:
    known = [attempt for attempt in step["attempts"] if attempt.get("context_tokens") and not attempt["reused"]]
    for number, attempt in enumerate(known):
        name = "" if number else step["path"]
        yield (
            name,
            str(attempt["attempt"]),
            attempt["model"] or "",
            _of_window(attempt["context_tokens"], attempt["model"]),
        )


def _of_window(used: int, model: str | None) -> str:
    """Format tokens with their share of the context window, if the price table has a plausible window."""
    window = prices.context_window(model)
    if window is None or used > window:
        return _thousands(used)
    return f"{_thousands(used)} of {_thousands(window)} ({used / window:.0%})"


def _thousands(tokens: int) -> str:
    return f"{tokens // 1000}k" if tokens >= 10_000 else str(tokens)


def _attempts(data: Data) -> Iterator[tuple[str, Data]]:
    """Yield all attempts, each with the path of its step."""
    return ((step["path"], attempt) for step in data["steps"] for attempt in step["attempts"])


def _turns(data: Data, out: Out) -> None:
    """Write a row for each attempt with turns. On a narrow terminal, some columns are left out."""
    rows = [row for step in data["steps"] for row in _turn_rows(step)]
    if rows:
        totals = data["totals"]
        silence = format_duration(totals["longest_silence_s"])
        rows.append(("total", "", str(totals["turns"]), *stall_cells(totals), "", silence))
        out.heading("turns and tool calls")
        out.table(TURNS_HEAD, rows, right=TURNS_HEAD[1:], optional=("silence", "other", "text"))


def _turn_rows(step: Data) -> Iterator[tuple[str, ...]]:
    worked = [attempt for attempt in step["attempts"] if attempt.get("turns") and not attempt["reused"]]
    for number, attempt in enumerate(worked):
        yield (
            "" if number else step["path"],
            str(attempt["attempt"]),
            str(attempt["turns"]),
            *stall_cells(attempt),
            _first_write(attempt),
            format_duration(attempt["longest_silence_s"]),
        )


def stall_cells(data: Data) -> Iterator[str]:
    """Yield the turns of each kind and the counts of stalls; a zero is empty."""
    yield from (str(data["turn_kinds"][kind] or "") for kind in TURN_KINDS)
    yield from (str(data[name] or "") for name in STALLS)


def _first_write(attempt: Data) -> str:
    if attempt["first_write_s"] is None:
        return ""
    turn = attempt["first_write_turn"]
    return format_duration(attempt["first_write_s"]) + (f" (turn {turn})" if turn else "")


def _agents(data: Data, out: Out) -> None:
    if not data["agents"]:
        return
    head = ("agent", "attempts", "passed", "cost", "turns", "tokens", "time")
    rows = [
        (
            agent["agent"],
            str(agent["attempts"]),
            str(agent["passed"]),
            _cost(agent),
            str(agent["turns"]),
            str(agent["tokens"]["total"]),
            format_duration(agent["duration_s"]),
        )
        for agent in data["agents"]
    ]
    out.heading("agents")
    out.table(head, rows, right=head[1:])


def _marks(data: Data, out: Out) -> None:
    """Explain the cost marks that the report uses."""
    attempts = [attempt for _, attempt in _attempts(data) if "cost" in attempt and _consumed(attempt)]
    costs = [attempt["cost"] for attempt in attempts]
    if any(cost["provenance"] == "estimated" for cost in costs):
        out.text("~ estimated from tokens and list prices", indent="  ")
    for reason in dict.fromkeys(_why_unknown(attempt) for attempt in attempts if attempt["cost"]["usd"] is None):
        out.text(f"$? unknown: {reason}; not included in sums", indent="  ")


def _why_unknown(attempt: Data) -> str:
    if not attempt["tokens"]["total"]:
        return "the agent reported neither tokens nor cost"
    if attempt["model"] is None:
        return "the agent reported tokens, but neither cost nor model"
    return f"the agent reported tokens, but the price of {attempt['model']} is unknown"


def _reservations(data: Data, out: Out) -> None:
    """Write skipped gates and missing changes of steps that passed."""
    for step in data["steps"]:
        for text in step["reservations"]:
            out.text(f"{step['path']}: {text}", indent="  ", colour="yellow")
    if data["run"]["status"] == "passed" and data["run"]["unchanged"]:
        out.text(f"{NOTHING_TO_MERGE}: no file differs from the base", indent="  ", colour="yellow")


def _approvals(data: Data, out: Out) -> None:
    if data["approvals"]:
        out.heading("approvals")
    for answer in data["approvals"]:
        done = "approved" if answer["approved"] else "rejected"
        reason = f": {answer['text']}" if answer["text"] else ""
        when = f"{answer['at'][:16].replace('T', ' ')} UTC"
        out.text(f"{answer['step']} {done} at {answer['commit'][:10]} by {answer['by']}, {when}{reason}", indent="  ")


def _reasons(data: Data, out: Out) -> None:
    again = [
        (attempt["number"], _reason(path, attempt))
        for path, attempt in _attempts(data)
        if (attempt["because"] or attempt["decision"]) and not attempt["reused"]
    ]
    if again:
        out.heading("why attempts were retried")
    for _, line in sorted(again):
        out.text(line, indent="  ")
    failed = [step for step in data["steps"] if step["status"] == "failed"]
    if failed:
        out.line()
    for step in failed:
        out.text(": ".join(filter(None, (f"{step['path']} failed", step["outcome"], step["reason"]))), colour="red")


def _reason(path: str, attempt: Data) -> str:
    how = HOW.get(attempt["entry"], attempt["entry"])
    because = f", because of {attempt['because']}" if attempt["because"] else ""
    decision = f"; then: {attempt['decision']}" if attempt["decision"] else ""
    agent = agent_name(attempt["agent"], attempt["mode"])
    return f"{path} attempt {attempt['attempt']} ({how}, {agent}){because}{decision}"


def _read_by_gates(attempt: Data) -> Iterator[str]:
    if attempt.get("gate_config"):
        yield f"changed what gates read: {listed(attempt['gate_config'])}"
    yield from attempt.get("named_changes", ())


def _notes(data: Data, out: Out) -> None:
    """Write the notes of attempts, for example about a lost conversation."""
    notes = {
        f"{path} attempt {attempt['attempt']}: {note}": attempt["number"]
        for path, attempt in _attempts(data)
        for note in (*attempt.get("notes", ()), *_read_by_gates(attempt))
    }
    if notes:
        out.heading("notes")
    for line in sorted(notes, key=lambda line: (notes[line], line)):
        out.text(line, indent="  ")
