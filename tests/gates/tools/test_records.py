"""Records of tests: which records count, and which contradict exit code 0."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.tools.records import contradiction, read_records


def line(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, **fields}


def phases(test: str, setup: str = "passed", call: str | None = "passed", teardown: str = "passed") -> list[Any]:
    outcomes = {"setup": setup, "call": call, "teardown": teardown}
    middle = [
        line("phase", id=test, phase=name, outcome=outcome, error=None) for name, outcome in outcomes.items() if outcome
    ]
    return [line("start", id=test), *middle, line("end", id=test)]


def session(*events: Any, collected: int, exit_code: int | None = 0, parallel: bool = False) -> bytes:
    end = [] if exit_code is None else [line("exit", exit_code=exit_code)]
    head = line("session", format=1, pytest="9.0", parallel=parallel)
    flat = [one for event in events for one in (event if isinstance(event, list) else [event])]
    return b"".join(json.dumps(one).encode() + b"\n" for one in (head, line("collected", count=collected), *flat, *end))


def problem(data: bytes) -> str | None:
    return contradiction(read_records(data))


def test_the_outcome_of_a_test_is_the_worst_of_its_phases() -> None:
    data = session(
        phases("passed"),
        phases("failed", call="failed"),
        phases("broken", teardown="failed"),
        phases("unready", setup="failed", call=None),
        phases("skipped", setup="skipped", call=None),
        phases("known", call="xfailed"),
        collected=6,
        exit_code=1,
    )
    records = read_records(data)
    assert records.outcomes == {
        "passed": "passed",
        "failed": "failed",
        "broken": "error",
        "unready": "error",
        "skipped": "skipped",
        "known": "xfailed",
    }
    assert records.counts == {"collected": 6, "passed": 1, "failed": 1, "error": 2, "skipped": 1, "xfailed": 1}


def test_the_last_run_of_a_repeated_test_counts() -> None:
    repeated = [
        line("start", id="a"),
        line("phase", id="a", phase="call", outcome="rerun", error=None),
        *phases("a")[1:],
    ]
    assert problem(session(repeated, collected=1)) is None


def test_a_failed_subtest_fails_the_test() -> None:
    inner = [line("start", id="a"), line("phase", id="a", phase="call", outcome="failed", error="AssertionError")]
    assert read_records(session([*inner, *phases("a")[1:]], collected=1)).outcomes == {"a": "failed"}


def test_tests_of_parallel_workers_may_overlap() -> None:
    a, b = phases("a"), phases("b")
    mixed = [a[0], b[0], *a[1:], *b[1:]]
    assert problem(session(mixed, collected=2, parallel=True)) is None
    assert "a had not ended" in (problem(session(mixed, collected=2)) or "")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "no records", id="nothing"),
        pytest.param(session(phases("a"), collected=1, exit_code=None), "1 of 1 test ran", id="no-end"),
        pytest.param(session(phases("a"), collected=1, exit_code=1), "pytest with 1", id="other-code"),
        pytest.param(session(phases("a", call="failed"), collected=1), "did not pass: a", id="failed"),
        pytest.param(session(phases("a"), collected=3), "only 1 of 3", id="fewer"),
        pytest.param(session(collected=0), "no test ran", id="none"),
        pytest.param(session(phases("a", call=None), collected=1), "only 0 of 1", id="never-called"),
        pytest.param(
            session(line("collect", id="m.py", outcome="failed", error="E"), phases("a"), collected=1),
            "did not pass: m.py",
            id="not-collected",
        ),
        pytest.param(
            session(phases("a"), collected=1, exit_code=None) + b"{}\n", "line 8 is not a record", id="garbage"
        ),
        pytest.param(session(phases("a"), collected=1) * 2, "after the end", id="twice"),
        pytest.param(session(phases("a")[1:], collected=1), "only 0 of 1", id="never-started"),
    ],
)
def test_records_can_contradict_exit_code_0(data: bytes, why: str) -> None:
    assert why in (problem(data) or "")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read_and_never_pass(data: bytes) -> None:
    assert problem(data) is not None


@given(st.integers(min_value=0))
def test_truncated_records_never_pass(size: int) -> None:
    whole = session(phases("a"), phases("b"), collected=2)
    assert problem(whole) is None
    assert problem(whole[: size % len(whole.rstrip())]) is not None
