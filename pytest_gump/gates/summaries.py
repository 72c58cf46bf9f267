"""One-line summaries of the output of tools, with a table of known tools."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from pytest_gump.text import last_line, listed, one_line
from pytest_gump.units import plural


class Summary(NamedTuple):
    """Pattern for one tool. The last match is used; with `noun`, all matches are counted and listed by group 1."""

    tool: str
    pattern: re.Pattern[str]
    template: str = r"\1"
    noun: str | None = None


def _tool(tool: str, pattern: str, template: str = r"\1", *, noun: str | None = None) -> Summary:
    return Summary(tool, re.compile(pattern, re.MULTILINE), template, noun)


SUMMARIES: Final = (
    _tool("pytest", r"^!+ .{0,100}?(\d{1,9} errors? during collection) !+$"),
    _tool("pytest", r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests (?:ran|collected)[^=\n]*?) in [\d.:]+s\b.*$"),
    _tool("pytest", r"^(ImportError while loading conftest .*?)\.?$"),
    _tool("unittest", r"^Ran (\d+ tests?) in .*\n\n(OK|FAILED|NO TESTS RAN)(.*)$", r"\1, \2\3"),
    _tool("jest", r"^Tests: +(\d.*)$"),
    _tool("vitest", r"^ *Tests +(\d.*)$"),
    _tool("node --test", r"^(?:# |ℹ )pass (\d+)\n(?:# |ℹ )fail (\d+)$", r"\2 failed, \1 passed"),
    _tool("cargo test", r"^test result: \w+\. (\d+) passed; (\d+) failed;.*$", r"\2 failed, \1 passed"),
    _tool("cargo", r"^error: (could not compile .*)$"),
    _tool("go test", r"^--- FAIL: (\S+).*$", noun="failed test"),
    _tool("go test", r"^FAIL\t(\S+) \[(?:build|setup) failed\]$", noun="package that does not build"),
    _tool("go test", r"^ok +\t(\S+)\t.*$", noun="package passed"),
    _tool("maven", r"^\[(?:ERROR|INFO|WARNING)\] (Tests run: \d+, Failures: \d+, Errors: \d+, Skipped: \d+)$"),
    _tool("maven", r"^\[ERROR\] (COMPILATION ERROR).*$", "compilation error"),
    _tool("gradle", r"^(\d+ tests? completed, \d+ failed.*)$"),
    _tool("rspec", r"^(\d+ examples?, \d+ failures?.*)$"),
    _tool("minitest", r"^(\d+ (?:runs|tests), \d+ assertions, \d+ failures, \d+ errors).*$"),
    _tool("rubocop", r"^(\d+ files? inspected, .*)$"),
    _tool("mocha", r"^  (\d+ failing)$"),
    _tool("eslint", r"^✖ (\d+ problems? \(.*?\))$"),
    _tool("tsc", r"^(\S+\(\d+,\d+\)): error TS\d+:.*$", noun="error"),
    _tool("ruff, mypy", r"^(Found \d+ errors?.*?)\.?$"),
    _tool("ruff", r"^(All checks passed!)$", "all checks passed"),
)
"""Tried in this order. Test runners come before compilers and linters, whose messages may be in a test's output."""


def summarize(output: str) -> str:
    """Return one line of at most 120 characters: the tool's own summary, otherwise the last line that is not blank."""
    return known_summary(output) or last_line(output)


def known_summary(output: str) -> str:
    """Return the summary of a known tool; empty if there is none."""
    for summary in SUMMARIES:
        found = list(summary.pattern.finditer(output))
        if not found:
            continue
        if summary.noun is None:
            return one_line(found[-1].expand(summary.template))
        return one_line(_counted(summary.noun, list(dict.fromkeys(match[1] for match in found))))
    return ""


def _counted(noun: str, names: list[str]) -> str:
    first, *rest = noun.split(" ", 1)
    label = plural(len(names), noun) if not rest or first != "package" else f"{plural(len(names), first)} {rest[0]}"
    return f"{label}: {listed(names, 3)}"
