"""Gate that checks whether the step has written tests, without running them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.gates.base import GateResult
from pytest_gump.gates.patterns import matches
from pytest_gump.gates.source_tests import UnreadableError, find_tests
from pytest_gump.system.files import read_or_none
from pytest_gump.text import listed, one_line
from pytest_gump.units import plural

if TYPE_CHECKING:
    from pytest_gump.gates.base import GateContext


def tests_found(argument: str | None, context: GateContext) -> GateResult:
    """Count tests that are new or changed since the step began. A test that was only moved does not count."""
    if argument is not None:
        return GateResult("tests_found", "error", "tests_found takes no argument")
    paths = set(matches(["@tests"], [file.path for file in context.changed], tests=context.test_patterns))
    changed = [file for file in context.changed if file.path in paths]
    if not changed:
        return _failed("no test file was added or changed since the step began")
    old = _old_tests([file.path for file in changed], context)
    counts: dict[str, int] = {}
    problems: list[str] = []
    for path in (file.path for file in changed if file.status != "deleted"):
        try:
            tests = find_tests(path, read_or_none(context.worktree, path) or b"")
        except UnreadableError as error:
            problems.append(one_line(f"{path} does not parse: {error}"))
            continue
        if fresh := [source for source in tests.values() if source not in old]:
            counts[path] = len(fresh)
    return _answer(counts, problems, [file.path for file in changed])


def _old_tests(paths: list[str], context: GateContext) -> set[str]:
    old: set[str] = set()
    for path in paths:
        try:
            old.update(find_tests(path, context.read_base(path) or b"").values())
        except UnreadableError:
            continue  # a file that does not parse has no tests that can run
    return old


def _answer(counts: dict[str, int], problems: list[str], changed: list[str]) -> GateResult:
    if counts:
        total = plural(sum(counts.values()), "new or changed test")
        return GateResult("tests_found", "passed", f"{total} in {plural(len(counts), 'file')}")
    if problems:
        return _failed("; ".join(["no test function found", *problems[:5]]))
    return _failed(f"no new or changed test function in the changed test files: {listed(changed)}")


def _failed(message: str) -> GateResult:
    return GateResult("tests_found", "failed", one_line(message, 400), message)
