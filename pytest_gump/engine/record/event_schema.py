"""Validate the events of a ledger. Other programs may have changed the file, so each event is checked."""

from __future__ import annotations

import re
from typing import Any, Final

_TEXT: Final = (str,)
_TEXT_OR_NONE: Final = (str, type(None))
_NUMBER: Final = (int, float)
_NUMBER_OR_NONE: Final = (int, float, type(None))

_REUSE: Final = {"reused": (list,), "again": (dict,), "head": _TEXT}
_FIELDS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "run_started": {
        **dict.fromkeys(("run_id", "workflow", "spec", "base", "branch"), _TEXT),
        "pid": (int,),
        "pid_created": _NUMBER,
        "max_budget": _NUMBER_OR_NONE,
    },
    "preflight": {"gates": (list,), "red": (list,), "reason": _TEXT_OR_NONE},
    "attempt_started": {
        **dict.fromkeys(("step", "mode", "entry", "base", "step_base"), _TEXT),
        "number": (int,),
        "attempt": (int,),
        "agent": _TEXT_OR_NONE,
    },
    "attempt_finished": {"number": (int,), "folder": _TEXT_OR_NONE, "result": (dict,)},
    "attempt_judged": {"number": (int,), "commit": _TEXT},
    "decided": {
        **dict.fromkeys(("verdict", "outcome", "reason", "why", "head"), _TEXT),
        "number": (int,),
        "replanned": _TEXT_OR_NONE,
    },
    "awaiting": {
        **dict.fromkeys(("step", "base", "commit", "subject"), _TEXT),
        "number": (int,),
        "show": (list,),
        "since": _NUMBER,
        "expires": _NUMBER_OR_NONE,
    },
    "approval": {
        **dict.fromkeys(("step", "commit", "subject", "text", "by"), _TEXT),
        "number": (int,),
        "approved": (bool,),
    },
    "stalled": {"failed": (list,)},
    "skipped": {"steps": (list,), "reason": _TEXT},
    "run_resumed": {**_REUSE, "pid": (int,), "pid_created": _NUMBER, "max_budget": _NUMBER_OR_NONE},
    "session_copied": {"reused": (list,)},
    "recheck": {"number": (int,), "step": _TEXT, "gates": (list,), "reason": _TEXT_OR_NONE},
    "reuse_refused": {**_REUSE, "number": (int,), "reason": _TEXT},
    "limit_recalled": {"number": (int,), "until": _NUMBER},
    "run_finished": dict.fromkeys(("status", "reason", "head"), _TEXT),
    "branch_left": dict.fromkeys(("branch", "why", "kept"), _TEXT),
    "applied": dict.fromkeys(("commit", "head"), _TEXT),
}
CHANGE: Final = ("files_changed", "lines_added", "lines_removed")
NOTHING_TO_MERGE: Final = "nothing to merge"
"""Note on a run that is `unchanged`: its files are the same as those of its base."""
_LATEST: Final = 2.0**37
"""Limit for times in seconds since the epoch. `datetime` can represent all times below it."""
_COMMITS: Final = ("base", "step_base", "head", "commit")
_COMMITS_OR_NONE: Final = ("theirs", "commit")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_STEP: Final = re.compile(r"[^\[\]/\x00-\x1f]+(?:\[[^\[\]/\x00-\x1f]+\])?")
_BRANCH: Final = re.compile(r"(?:refs/)?gump/[\w.-]+(?:/head)?")
"""A branch name becomes part of a ref, and an argument in suggested commands."""
_FOLDER: Final = re.compile(r"(?!\.)[^/\x00-\x1f]+")


def is_event(record: object) -> bool:
    """True if the record is a valid event, or an unknown event of a later version."""
    if not isinstance(record, dict) or not isinstance(record.get("event"), str) or not _is_time(record.get("at")):
        return False
    fields = _FIELDS.get(record["event"], {})
    for name, kinds in fields.items():
        if type(record.get(name, ...)) not in kinds:
            return False
    return _has_commits(record, fields) and _has_names(record)


def _has_commits(record: dict[str, Any], fields: dict[str, tuple[type, ...]]) -> bool:
    for name in _COMMITS:
        if name in fields and not _COMMIT.fullmatch(record[name]):
            return False
    for name in _COMMITS_OR_NONE:
        commit = record.get(name)
        if commit is not None and not (type(commit) is str and _COMMIT.fullmatch(commit)):
            return False
    return True


def _has_names(record: dict[str, Any]) -> bool:
    """True if step names, folder names and refs are valid and safe to use, and nested values have the right types."""
    match record["event"]:
        case "attempt_started":
            has_plan = type(record.get("identity", {})) is dict and all(
                type(record.get(name)) in _TEXT_OR_NONE for name in ("slot", "side")
            )
            return bool(record["number"] > 0 and _STEP.fullmatch(record["step"])) and has_plan
        case "attempt_finished":
            folder, presumed_usd = record["folder"], record.get("presumed_usd", 0.0)
            if type(presumed_usd) not in _NUMBER_OR_NONE:
                return False
            return bool(record["number"] > 0 and (folder is None or _FOLDER.fullmatch(folder)))
        case "attempt_judged":
            return bool(record["number"] > 0)
        case "decided":
            return _is_settled(record) and _is_validated(record.get("validated"))
        case "run_started" | "branch_left" | "run_finished":
            has_refs = all(_BRANCH.fullmatch(str(record.get(name, "gump/run"))) for name in ("branch", "kept"))
            return has_refs and _is_change(record.get("change"))
        case "awaiting" | "approval":
            return _is_question(record)
        case "skipped" | "stalled":
            return _are_steps(record["steps" if record["event"] == "skipped" else "failed"])
        case "run_resumed" | "reuse_refused" | "session_copied":
            numbers = record.get("validating", [])
            is_numbered = isinstance(numbers, list) and all(type(each) is int for each in (*record["reused"], *numbers))
            return is_numbered and _is_time(record.get("idle_s", 0)) and _are_steps([*record.get("again", ())])
        case "limit_recalled":
            return _is_time(record["until"])
        case "preflight" | "recheck":
            return all(_is_gate(gate) for gate in record["gates"]) and _is_time(record.get("duration_s", 0))
        case _:
            return True


def _is_question(record: dict[str, Any]) -> bool:
    times = (record.get("since", 0), record.get("expires") or 0, record.get("answered", 0))
    are_texts = all(type(text) is str for text in record.get("show", ()))
    return bool(record["number"] > 0 and _are_steps([record["step"]]) and are_texts and all(map(_is_time, times)))


def _is_review(review: object) -> bool:
    """True if the value is missing, or has the fields of a result that a rejection changes."""
    if review is None:
        return True
    if not isinstance(review, dict) or set(review) != {"outcome", "reason", "verdict"}:
        return False
    verdict = review["verdict"]
    is_verdict = isinstance(verdict, dict) and type(verdict.get("passed")) is bool
    texts = (review["outcome"], review["reason"], verdict.get("comment") if is_verdict else None)
    return is_verdict and all(isinstance(text, str) for text in texts)


def _is_approval(approval: object) -> bool:
    """True if the value is missing, or has the person who approved an attempt and the time."""
    is_whole = isinstance(approval, dict) and isinstance(approval.get("by"), str) and _is_time(approval.get("at"))
    return approval is None or is_whole


def _is_settled(record: dict[str, Any]) -> bool:
    named = _are_steps(record.get("failed", []))
    until = record.get("until")
    again = type(record.get("agent")) in _TEXT_OR_NONE and (until is None or _is_time(until))
    is_whole = named and again and _is_review(record.get("review")) and _is_approval(record.get("approval"))
    return bool(record["number"] > 0) and is_whole and _are_decisions(record.get("decisions", []))


def _is_validated(validated: object) -> bool:
    """True for a valid decision about an attempt whose validators have all ended, or for None."""
    if validated is None:
        return True
    if not isinstance(validated, dict) or type(validated.get("number")) is not int:
        return False
    is_text = all(isinstance(validated.get(name), str) for name in ("verdict", "outcome", "reason", "why"))
    gates, commit = validated.get("gates"), validated.get("commit")
    has_gates = isinstance(gates, list) and all(map(_is_gate, gates))
    has_commit = commit is None or (isinstance(commit, str) and _COMMIT.fullmatch(commit) is not None)
    return is_text and has_gates and has_commit and _is_settled(validated)


def _are_steps(names: object) -> bool:
    return isinstance(names, list) and all(
        isinstance(name, str) and _STEP.fullmatch(name) is not None for name in names
    )


def _are_decisions(decisions: object) -> bool:
    return isinstance(decisions, list) and all(_is_decision(decision) for decision in decisions)


def _is_decision(decision: object) -> bool:
    if not isinstance(decision, dict) or not all(isinstance(decision.get(name), str) for name in ("scope", "kind")):
        return False
    is_stop = decision["kind"] == "stop"
    return not is_stop or (isinstance(decision.get("reason"), str) and type(decision.get("outcome")) in _TEXT_OR_NONE)


def _is_change(change: object) -> bool:
    return change is None or (isinstance(change, dict) and [*map(type, map(change.get, CHANGE))] == [int] * len(CHANGE))


def _is_gate(gate: object) -> bool:
    return isinstance(gate, dict) and all(isinstance(gate.get(name), str) for name in ("name", "status", "summary"))


def _is_time(value: object) -> bool:
    return type(value) in _NUMBER and 0 <= value < _LATEST  # type: ignore[operator]  # a number now
