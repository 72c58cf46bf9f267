"""Total line coverage, read from the output of the project's coverage command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_gump.gates.base import GateResult
from pytest_gump.gates.commands import Reading, read_end, run_project_command
from pytest_gump.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.gates.base import CommandOutcome, GateContext


def coverage(argument: str | None, context: GateContext) -> GateResult:
    minimum = _minimum(argument)
    if minimum is None:
        return GateResult("coverage", "error", f"the gate needs a number from 0 to 100, not {argument or 'nothing'}")
    return run_project_command("coverage", context, lambda outcome: _read(outcome, minimum))


def _read(outcome: CommandOutcome, minimum: float) -> Reading:
    reading = read_end(outcome, optional=True)
    if reading.status in ("skipped", "error"):
        return reading
    percent = total_percent(outcome.output)
    if reading.status == "failed":
        measured = "" if percent is None else f"coverage {percent:.4g}%, but "
        return Reading("failed", one_line(f"{measured}the command failed: {reading.summary}"))
    if percent is None:
        return Reading("error", "no total coverage found in the command's output")
    if percent < minimum:
        return Reading("failed", f"coverage {_shown(percent)} is below {minimum:g}%")
    return Reading("passed", f"coverage {_shown(percent)}")


def _minimum(argument: str | None) -> float | None:
    text = (argument or "").strip().removesuffix("%").strip()
    if not re.fullmatch(r"\d{1,3}(?:\.\d{1,4})?", text, re.ASCII):
        return None
    return float(text) if float(text) <= 100 else None


def _shown(percent: float) -> str:
    """Format with one decimal, rounded down: 79.96 is shown as 79.9, not as 80."""
    return f"{int(percent * 10 + 1e-9) / 10:g}%"


def _percent(match: re.Match[str]) -> float:
    return float(match[1])


def _fraction(match: re.Match[str]) -> float:
    return float(match[1]) * 100


def _covered_of_total(match: re.Match[str]) -> float:
    return 100.0 * int(match["covered"]) / int(match["total"]) if int(match["total"]) else 100.0


def _missed_of_total(match: re.Match[str]) -> float:
    total, missed = int(match["total"]), int(match["missed"])
    return 100.0 * (total - missed) / total if total else 100.0


_Reader = tuple[str, re.Pattern[str], "Callable[[re.Match[str]], float]"]


def _reader(tool: str, pattern: str, read: Callable[[re.Match[str]], float] = _percent) -> _Reader:
    return tool, re.compile(pattern, re.MULTILINE), read


READERS: Final[tuple[_Reader, ...]] = (
    _reader(
        "cargo llvm-cov",
        r"^TOTAL +\d+ +\d+ +[\d.]+% +\d+ +\d+ +[\d.]+% +(?P<total>\d+) +(?P<missed>\d+) +[\d.]+%",
        _missed_of_total,
    ),
    _reader("coverage.py", r"^TOTAL +(?P<total>\d+) +(?P<missed>\d+)(?: +\d+ +\d+)? +[\d.]+%$", _missed_of_total),
    _reader(
        "coverage.py json",
        r'"totals": *\{[^{}]{0,500}?"covered_lines": *(?P<covered>\d+), *"num_statements": *(?P<total>\d+)',
        _covered_of_total,
    ),
    _reader("go tool cover", r"^total:\s+\(statements\)\s+([\d.]+)%$"),
    _reader("jest, nyc, c8, vitest", r"^ *All files *\|(?: *[\d.]+ *\|){3} *([\d.]+) *\|"),
    _reader("istanbul summary, lcov", r"^ *[Ll]ines *[.:]+ *([\d.]+)% *\("),
    _reader("simplecov", r"^Line Coverage: ([\d.]+)% "),
    _reader("simplecov", r" LOC \(([\d.]+)%\) covered"),
    _reader("cargo tarpaulin", r"^([\d.]+)% coverage, \d+/\d+ lines covered"),
    _reader("cobertura", r'<coverage\b[^>]{0,1000}?\bline-rate="([\d.]+)"', _fraction),
)
"""Tool, pattern of its total, and how to read it. The last match counts: tests may print text that looks like one."""

_LCOV_LINES: Final = re.compile(r"^L([FH]):(\d+)$", re.MULTILINE)
_GO_PACKAGE: Final = re.compile(r"\bcoverage: ([\d.]+)% of statements")


def total_percent(output: str) -> float | None:
    """Return the total line coverage from 0 to 100; None if no known tool printed one."""
    found = [(match.start(), read(match)) for _, pattern, read in READERS for match in pattern.finditer(output)]
    usable = [(start, percent) for start, percent in found if 0 <= percent <= 100]
    if usable:
        return max(usable, key=lambda entry: entry[0])[1]
    return _lcov(output) if "\nend_of_record" in output else _only_go_package(output)


def _lcov(output: str) -> float | None:
    totals = {"F": 0, "H": 0}
    for kind, count in _LCOV_LINES.findall(output):
        totals[kind] += int(count)
    return 100.0 * totals["H"] / totals["F"] if totals["F"] else None


def _only_go_package(output: str) -> float | None:
    """Return the coverage of the only package; with several packages, only `go tool cover` prints a total."""
    packages = _GO_PACKAGE.findall(output)
    return float(packages[0]) if len(packages) == 1 else None
