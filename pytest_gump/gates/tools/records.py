"""Reads the records that `pytest_program` writes, and compares them with the exit code of the process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_gump.text import listed
from pytest_gump.units import plural

FORMAT: Final = 1
_WORST_FIRST: Final = ("error", "failed", "xpassed", "passed", "xfailed", "skipped")
_REPEATED: Final = frozenset({"rerun", "retried"})
"""Outcomes that rerun plugins set on runs that do not count."""


@dataclass(slots=True)
class _Test:
    """Records of one test so far."""

    outcomes: list[str] = field(default_factory=list)
    is_complete: bool = False
    """True if its last phase has ended, and an earlier phase ran or skipped the test."""


@dataclass(slots=True)
class Records:
    """One session of pytest, from its records."""

    has_begun: bool = False
    collected: int = 0
    deselected: int = 0
    exit_code: int | None = None
    """Exit code of pytest itself; None if pytest did not finish."""
    left_out: tuple[str, ...] = ()
    """Options that leave out tests: `-m unit`."""
    outcomes: dict[str, str] = field(default_factory=dict)
    """By node id, of tests that ran to their end: `passed failed error skipped xfailed xpassed`."""
    not_collected: dict[str, str] = field(default_factory=dict)
    """Files and classes that could not be collected (`failed`) or that skip themselves, by id."""
    problem: str | None = None
    """Why the records themselves are invalid; None if they are valid."""

    def count(self, *outcomes: str) -> int:
        return sum(outcome in outcomes for outcome in self.outcomes.values())

    @property
    def counts(self) -> dict[str, int]:
        """`collected`, then each outcome that some test has, and `deselected`."""
        found = {outcome: self.count(outcome) for outcome in _WORST_FIRST}
        found["deselected"] = self.deselected
        return {"collected": self.collected, **{name: count for name, count in found.items() if count}}

    @property
    def bad(self) -> list[str]:
        failed = [test for test, outcome in self.outcomes.items() if outcome in ("failed", "error")]
        return failed + [node for node, outcome in self.not_collected.items() if outcome == "failed"]


def read_records(data: bytes) -> Records:
    """Read records in the order in which they arrived. An invalid line sets `problem`; nothing is raised."""
    reader = _Reader()
    for number, line in enumerate(data.splitlines(), 1):
        try:
            reader.take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            reader.add_problem(f"line {number} is not a record")
    return reader.records


class _Reader:
    def __init__(self) -> None:
        self.records = Records()
        self._open: dict[str, _Test] = {}
        self._is_parallel = False

    def add_problem(self, problem: str) -> None:
        """Keep the first problem only."""
        self.records.problem = self.records.problem or problem

    def take(self, record: dict[str, Any]) -> None:
        if self.records.exit_code is not None:
            self.add_problem("records came after the end of the session")
        match record["event"]:
            case "session":
                self._begin(record)
            case "collected":
                self.records.collected = max(self.records.collected, int(record["count"]))
            case "deselected":
                self.records.deselected += int(record["count"])
            case "collect":
                self.records.not_collected[str(record["id"])] = str(record["outcome"])
            case "start":
                self._start(str(record["id"]))
            case "phase":
                self._phase(str(record["id"]), record["phase"], str(record["outcome"]))
            case "end":
                self._end(str(record["id"]))
            case "exit":
                self.records.exit_code = int(record["exit_code"])
            case other:
                self.add_problem(f"unknown record {other!r}")

    def _begin(self, record: dict[str, Any]) -> None:
        if self.records.has_begun:
            self.add_problem("a second session began")
        if record["format"] != FORMAT:
            self.add_problem(f"unknown format {record['format']!r}")
        self.records.has_begun = True
        self._is_parallel = bool(record["parallel"])
        self.records.left_out = tuple(map(str, record.get("left_out", ())))

    def _start(self, test: str) -> None:
        """Close the previous test: it must have recorded its end, and later records do not count for it."""
        if not self._is_parallel:
            for open_test in self._open:
                self.add_problem(f"{open_test} had not ended when the next test began")
            self._open.clear()
        self._open[test] = _Test()

    def _phase(self, test: str, phase: str, outcome: str) -> None:
        entry = self._open.get(test)
        if entry is None:
            if outcome == "failed":  # for example of a worker that crashed
                self.records.outcomes[test] = "failed"
            return
        if outcome in _REPEATED:
            entry.outcomes.clear()
            return
        if outcome == "failed" and phase != "call":
            outcome = "error"
        if phase == "call" or outcome != "passed":
            entry.outcomes.append(outcome)
        entry.is_complete = phase == "teardown" and bool(entry.outcomes)

    def _end(self, test: str) -> None:
        entry = self._open.pop(test, None)
        if entry is not None and entry.is_complete:
            before = [self.records.outcomes[test]] if test in self.records.outcomes else []
            self.records.outcomes[test] = min([*before, *entry.outcomes], key=_rank)


def _rank(outcome: str) -> int:
    return _WORST_FIRST.index(outcome) if outcome in _WORST_FIRST else 0


def contradiction(records: Records) -> str | None:
    """Return why a session with exit code 0 cannot have passed; None if the records agree with it."""
    ran, collected = len(records.outcomes), records.collected
    if not records.has_begun:
        return "exit code 0, but pytest wrote no records of its tests"
    if records.problem is not None:
        return f"exit code 0, but the records of the tests are not valid: {records.problem}"
    if records.exit_code is None:
        return f"exit code 0, but pytest did not finish: {ran} of {plural(collected, 'test')} ran"
    if records.exit_code != 0:
        return f"the process ended with exit code 0, but pytest with {records.exit_code}"
    if records.bad:
        return f"exit code 0, but these tests did not pass: {listed(records.bad, 3)}"
    if ran < collected:
        return f"exit code 0, but only {ran} of {plural(collected, 'collected test')} ran"
    return None if ran else "exit code 0, but no test ran"
