from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.coverage import total_percent
from pytest_gump.gates.registry import BUILTIN

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path

COVERAGE_PY = """\
Name      Stmts   Miss  Cover
-----------------------------
a.py          8      2    75%
-----------------------------
TOTAL        80     16    80%
"""
JEST = """\
----------|---------|----------|---------|---------|-------------------
File      | % Stmts | % Branch | % Funcs | % Lines | Uncovered Line #s
----------|---------|----------|---------|---------|-------------------
All files |   81.25 |       50 |     100 |   85.71 |
 a.js     |   81.25 |       50 |     100 |   85.71 | 7
----------|---------|----------|---------|---------|-------------------
"""
LLVM = "TOTAL    100   20   80.00%   10   1   90.00%   200   30   85.00%   0   0   -\n"
COBERTURA = '<?xml version="1.0" ?>\n<coverage version="7" line-rate="0.9125" branch-rate="0">\n'


@pytest.mark.parametrize(
    ("output", "percent"),
    [
        (COVERAGE_PY, 80),
        ("TOTAL    200   50   40   10   70%\n", 75),
        ("TOTAL    0   0   100%\n", 100),
        ('{"totals": {"covered_lines": 3, "num_statements": 4, "percent_covered": 60.0}}', 75),
        ("a.go:3:\tA\t\t100.0%\ntotal:\t\t\t(statements)\t66.7%\n", 66.7),
        ("ok  \tx/y\t0.1s\tcoverage: 71.4% of statements\n", 71.4),
        ("ok  \tx\t0.1s\tcoverage: 71.4% of statements\nok  \ty\t0.1s\tcoverage: 9% of statements\n", None),
        (JEST, 85.71),
        ("Statements   : 80% ( 4/5 )\nLines        : 85.71% ( 6/7 )\n", 85.71),
        ("  lines......: 85.7% (12 of 14 lines)\n  functions..: 50.0% (1 of 2 functions)\n", 85.7),
        ("SF:a\nLF:10\nLH:5\nend_of_record\nSF:b\nLF:30\nLH:30\nend_of_record\n", 87.5),
        ("Line Coverage: 85.71% (6 / 7)\n", 85.71),
        ("Coverage report generated for RSpec. 6 / 8 LOC (75.0%) covered.\n", 75),
        ("71.43% coverage, 5/7 lines covered\n", 71.43),
        (LLVM, 85),
        (COBERTURA, 91.25),
        ("all good, 100% sure\n", None),
        ("", None),
        ("total:\t(statements)\t300%\n", None),
    ],
)
def test_the_total_is_read_from_the_output_of_each_tool(output: str, percent: float | None) -> None:
    assert total_percent(output) == (None if percent is None else pytest.approx(percent))


def test_the_last_total_counts() -> None:
    assert total_percent(f"TOTAL  1  0  100%\n{COVERAGE_PY}") == pytest.approx(80)


@given(st.text())
def test_any_output_has_a_percentage_or_none(output: str) -> None:
    percent = total_percent(output)
    assert percent is None or 0 <= percent <= 100


def printing(text: str, exit_code: int = 0) -> dict[str, str]:
    return {"coverage": f"printf %s {shlex.quote(text)}; exit {exit_code}"}


@pytest.mark.parametrize(
    ("minimum", "status", "summary"),
    [
        ("80", "passed", "coverage 80%"),
        ("80%", "passed", "coverage 80%"),
        ("80.5", "failed", "coverage 80% is below 80.5%"),
        ("0", "passed", "coverage 80%"),
    ],
)
def test_the_total_is_compared_with_the_minimum(minimum: str, status: str, summary: str, tmp_path: Path) -> None:
    result = BUILTIN["coverage"](minimum, gate_context(tmp_path, commands=printing(COVERAGE_PY)))
    assert (result.status, result.summary) == (status, summary)


def test_a_total_just_below_the_minimum_is_not_rounded_up(tmp_path: Path) -> None:
    result = BUILTIN["coverage"]("80", gate_context(tmp_path, commands=printing("TOTAL  10000  2001  80%\n")))
    assert (result.status, result.summary) == ("failed", "coverage 79.9% is below 80%")


@pytest.mark.parametrize("argument", [None, "", "abc", "-1", "101", "nan", "1e2", "٨٠"])
def test_the_minimum_must_be_a_number(argument: str | None, tmp_path: Path) -> None:
    assert BUILTIN["coverage"](argument, gate_context(tmp_path, commands=printing(COVERAGE_PY))).status == "error"


def test_output_without_a_total_is_an_error(tmp_path: Path) -> None:
    result = BUILTIN["coverage"]("80", gate_context(tmp_path, commands=printing("done\n")))
    assert (result.status, result.summary) == ("error", "no total coverage found in the command's output")


def test_failing_tests_fail_the_gate_whatever_the_total(tmp_path: Path) -> None:
    result = BUILTIN["coverage"](
        "50", gate_context(tmp_path, commands=printing(f"{COVERAGE_PY}== 1 failed in 0.1s ==\n", 1))
    )
    assert (result.status, result.summary) == ("failed", "coverage 80%, but the command failed: 1 failed")


def test_a_missing_tool_is_skipped(tmp_path: Path) -> None:
    commands = {"coverage": f"{shlex.quote(sys.executable)} -I -S -m coverage run -m pytest"}
    result = BUILTIN["coverage"]("80", gate_context(tmp_path, commands=commands))
    assert (result.status, result.summary) == ("skipped", "coverage is not installed")


def test_real_coverage_is_measured(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def used():\n    return 1\n\ndef unused():\n    x = 1\n    return x\n")
    (tmp_path / "main.py").write_text("import shop\nshop.used()\n")
    python = shlex.quote(sys.executable)
    commands = {"coverage": f"{python} -m coverage run --source=. main.py && {python} -m coverage report"}
    result = BUILTIN["coverage"]("80", gate_context(tmp_path, commands=commands))
    assert (result.status, result.summary) == ("failed", "coverage 71.4% is below 80%")
    assert "TOTAL" in result.output
