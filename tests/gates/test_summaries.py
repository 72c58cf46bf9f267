from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.summaries import known_summary, summarize


@pytest.mark.parametrize(
    ("output", "summary"),
    [
        ("=== short ===\nFAILED t.py::a\n========= 2 failed, 7 passed in 0.12s =========\n", "2 failed, 7 passed"),
        ("..F\n1 failed, 2 passed, 1 warning in 0.01s\n", "1 failed, 2 passed, 1 warning"),
        ("==== 3 passed, 1 skipped in 65.00s (0:01:05) ====", "3 passed, 1 skipped"),
        ("==== no tests ran in 0.00s ====", "no tests ran"),
        (
            "ERROR t.py\n!!!!! Interrupted: 1 error during collection !!!!!\n==== 1 error in 0.1s ====",
            "1 error during collection",
        ),
        (
            "ImportError while loading conftest '/w/conftest.py'.\nE   x",
            "ImportError while loading conftest '/w/conftest.py'",
        ),
        ("F\n---\nRan 3 tests in 0.001s\n\nFAILED (failures=1)\n", "3 tests, FAILED (failures=1)"),
        ("Ran 1 test in 0.001s\n\nOK\n", "1 test, OK"),
        ("a.py:1:1: F401\nFound 3 errors.\n[*] 1 fixable with the `--fix` option.\n", "Found 3 errors"),
        (
            "a.py:1: error\nFound 1 error in 1 file (checked 3 source files)",
            "Found 1 error in 1 file (checked 3 source files)",
        ),
        ("All checks passed!\n", "all checks passed"),
        (
            "--- FAIL: TestA (0.00s)\n    a_test.go:5: no\n--- FAIL: TestB (0.01s)\nFAIL\nFAIL\tx/y\t0.1s",
            "2 failed tests: TestA, TestB",
        ),
        ("# x/y\n./a.go:3:1: syntax error\nFAIL\tx/y [build failed]\n", "1 package that does not build: x/y"),
        ("ok  \tx/a\t0.003s\nok  \tx/b\t(cached)\n", "2 packages passed: x/a, x/b"),
        (
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured\n\nerror: test failed\n",
            "1 failed, 3 passed",
        ),
        (
            "error: could not compile `x` (lib) due to 2 previous errors",
            "could not compile `x` (lib) due to 2 previous errors",
        ),
        ("Test Suites: 1 failed, 1 total\nTests:       1 failed, 3 passed, 4 total\n", "1 failed, 3 passed, 4 total"),
        (" Test Files  1 failed (1)\n      Tests  1 failed | 2 passed (3)\n", "1 failed | 2 passed (3)"),
        ("# tests 3\n# pass 2\n# fail 1\n", "1 failed, 2 passed"),
        ("a.ts(1,5): error TS2322: no\na.ts(2,5): error TS1005: no\n", "2 errors: a.ts(1,5), a.ts(2,5)"),
        (
            "[ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 0\n",
            "Tests run: 3, Failures: 1, Errors: 0, Skipped: 0",
        ),
        ("3 tests completed, 1 failed\n", "3 tests completed, 1 failed"),
        ("12 examples, 1 failure\n", "12 examples, 1 failure"),
        ("5 runs, 7 assertions, 1 failures, 0 errors, 0 skips\n", "5 runs, 7 assertions, 1 failures, 0 errors"),
        ("✖ 3 problems (3 errors, 0 warnings)\n", "3 problems (3 errors, 0 warnings)"),
        ("building\nboom: it broke\n\n", "boom: it broke"),
        ("", ""),
    ],
)
def test_the_last_line_of_the_tool_is_the_summary(output: str, summary: str) -> None:
    assert summarize(output) == summary


def test_the_summary_of_a_test_runner_overrides_output_of_its_tests() -> None:
    assert summarize("Found 3 errors.\n== 1 passed in 0.1s ==\n") == "1 passed"


def test_unknown_output_has_no_summary() -> None:
    assert known_summary("hello\n") == ""


@given(st.text())
def test_a_summary_is_always_one_short_line(output: str) -> None:
    summary = summarize(output)
    assert len(summary) <= 120
    assert "\n" not in summary


@pytest.mark.parametrize(
    "text", ["! " + "1" * 40_000, "1 a, " * 8_000, "<coverage " * 4_000, "`" * 40_000, "(" * 40_000]
)
def test_hostile_output_is_read_quickly(text: str) -> None:
    started = time.monotonic()
    assert summarize(text)
    assert time.monotonic() - started < 2
