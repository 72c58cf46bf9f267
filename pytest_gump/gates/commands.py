"""Gates that run shell commands: compile, test, lint and `bash: CMD`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.gates.base import GateResult, GateStatus
from pytest_gump.gates.summaries import known_summary, summarize
from pytest_gump.gates.tools.environment import gate_environment
from pytest_gump.gates.tools.pytest_command import guarded
from pytest_gump.gates.tools.records import contradiction, read_records
from pytest_gump.gates.tools.stand_ins import stand_ins
from pytest_gump.text import condensed, last_line, listed, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.gates.base import CommandOutcome, Gate, GateContext

OPTIONAL: Final = frozenset({"lint", "coverage"})
"""Gates that are skipped if the project has no command for them, or if their tool is not installed."""


class Reading(NamedTuple):
    """Status and summary of a command that has ended."""

    status: GateStatus
    summary: str


def project_gate(kind: str) -> Gate:
    """Return the gate that runs the project's command for `kind`."""

    def gate(argument: str | None, context: GateContext) -> GateResult:
        if argument is not None:
            return GateResult(kind, "error", f"{kind} takes no argument; for another command write bash: CMD")
        return run_project_command(kind, context, lambda outcome: read_end(outcome, optional=kind in OPTIONAL))

    return gate


compile_gate, test_gate, lint_gate = map(project_gate, ("compile", "test", "lint"))


def run_project_command(kind: str, context: GateContext, read: Callable[[CommandOutcome], Reading]) -> GateResult:
    """Run the project's command for `kind`, if there is one, and read how it ended."""
    command = context.commands.get(kind)
    if command is None:
        return _nothing_found(kind, context)
    if found := _shadowed(kind, command, context):
        return found
    outcome = _run(kind, command, context)
    return _result(kind, command, outcome, read(outcome), context)


def _shadowed(kind: str, command: str, context: GateContext) -> GateResult | None:
    """Return a failure if tools of the gate would be imported from files that the step added; otherwise None."""
    if guarded(command, context.worktree) is None:
        return None
    added = [file.path for file in context.changed if file.status == "added"]
    found = stand_ins(added, context.worktree, context.read_base)
    if not found:
        return None
    summary = f"{listed(found)} would be imported in place of an installed module that gates use: rename it"
    return GateResult(kind, "failed", one_line(summary), summary, command=command)


def bash(argument: str | None, context: GateContext) -> GateResult:
    if not argument or not argument.strip():
        return GateResult("bash", "error", "the gate needs a command: write bash: CMD")
    outcome = _run("bash", argument, context)
    return _result(f"bash: {argument}", argument, outcome, read_end(outcome), context)


def _nothing_found(kind: str, context: GateContext) -> GateResult:
    # Some languages have nothing to compile. With a test command, the gate `test` still checks the work.
    optional = kind in OPTIONAL or (kind == "compile" and "test" in context.commands)
    advice = f"set gump_{kind} in the ini file or {kind} in the table [gump] of gump.toml"
    status: GateStatus = "skipped" if optional else "error"
    return GateResult(kind, status, f"no {kind} command found for this project; {advice}")


def _run(label: str, command: str, context: GateContext) -> CommandOutcome:
    """Run a command; a detected one in its guarded form."""
    form = guarded(command, context.worktree)
    environment = gate_environment(context.worktree, context.environment, imports=form is None)
    if form is None:
        return context.run(command, label=label, env=environment)
    return context.run(form.command, label=label, env=environment, with_records=form.gives_records)


def _result(name: str, command: str, outcome: CommandOutcome, reading: Reading, context: GateContext) -> GateResult:
    return GateResult(
        name=name,
        status=reading.status,
        summary=reading.summary,
        output="" if reading.status in ("passed", "skipped") else condensed(outcome.output, context.output_chars),
        command=command,
        exit_code=outcome.exit_code,
        duration_s=outcome.duration_s,
        output_file=outcome.output_file,
        tests=None if outcome.records is None else read_records(outcome.records).counts,
    )


def read_end(outcome: CommandOutcome, *, optional: bool = False) -> Reading:
    """Return how a command ended: `failed` if the work does not meet the check, `error` if the check could not run."""
    if outcome.exit_code is None:
        return Reading("error", one_line(outcome.error or "the command did not end by itself"))
    if outcome.exit_code == 0:
        problem = None if outcome.records is None else contradiction(read_records(outcome.records))
        return Reading("failed", one_line(problem)) if problem else Reading("passed", summarize(outcome.output))
    if missing := _missing_tool(outcome.exit_code, outcome.output):
        return Reading("skipped" if optional else "error", missing)
    if outcome.exit_code == PYTEST_FAILED_INSIDE and (found := _EXITS.search(outcome.output)):
        return Reading("failed", f"code of the project ended pytest: {found[1]}")
    if broken := _broken_check(outcome.exit_code, outcome.output):
        return Reading("error", broken)
    summary = summarize(outcome.output)
    if outcome.exit_code == PYTEST_RAN_NONE and _NO_TEST.fullmatch(summary):
        return Reading("failed", _why_none_ran(summary, outcome.records))
    return Reading("failed", summary or f"exit code {outcome.exit_code}")


def _why_none_ran(summary: str, records: bytes | None) -> str:
    """Return why no test ran, with the options that leave out tests if the records contain them."""
    left_out = () if records is None else read_records(records).left_out
    if left_out:
        why = f"; the settings of pytest (addopts) leave out tests: {listed(left_out)}; gump_test sets another command"
    else:
        why = "; the settings of pytest (addopts, -m, -k) may select none" if "deselected" in summary else ""
    return f"no test ran: {summary}{why}" if summary != "no tests ran" else f"{summary}{why}"


PYTEST_FAILED_INSIDE: Final = 3
PYTEST_RAN_NONE: Final = 5
_EXITS: Final = re.compile(r"^INTERNALERROR> (SystemExit: .*)$", re.MULTILINE)
"""A `sys.exit()` at the top of a module, which pytest reports as its own internal error."""
_NO_TEST: Final = re.compile(r"no tests ran|(?:(?:, )?\d+ (?:warnings?|deselected))+")
"""The rest of pytest's summary if no test ran."""
_NOT_FOUND: Final = re.compile(
    r"^(?:/\S*/)?(?:ba|da|z|k)?sh: (?:line )?(?:\d+: )?(?P<sh>[^:\n]+): (?:command )?not found$"
    r"|^zsh:\d+: command not found: (?P<zsh>.+)$"
    r"|^(?:/\S*/)?env: [‘'\"]?(?P<env>[^‘’'\":\n]+)[’'\"]?: No such file or directory$"
    r"|^make(?:\[\d+\])?: (?P<make>[^:*\n]+): No such file or directory$"
    r"|^error: no such command: `(?P<cargo>[^`\n]+)`"
    r"|^error: '(?P<rustup>[^'\n]+)' is not installed for the toolchain"
    r"|^(?:/[^:\n]*/)?python[\d.]*: No module named "
    r"(?P<python>coverage|flake8|mypy|nox|pylint|pytest|ruff|tox)$",
    re.MULTILINE,
)
_MAKE_NOT_FOUND: Final = re.compile(r"^make(?:\[\d+\])?: \*\*\* .*\bError 12[67]$", re.MULTILINE)
_NO_PYTEST_COV: Final = re.compile(r"^.*error: unrecognized arguments: .*--cov\b", re.MULTILINE)


def _missing_tool(exit_code: int, output: str) -> str | None:
    """Return a message with the tool that is not installed; None if no tool is missing.

    The shell reports a missing tool with exit codes 126 and 127. With other codes, only the last lines count, and only
    without the summary of a test runner: with a summary, the code under test may have printed such lines.
    """
    tail = "\n".join(output.rstrip().splitlines()[-12:])
    not_found = list(_NOT_FOUND.finditer(tail))
    if exit_code in (126, 127):
        if exit_code == 127 and not_found:
            return _named(not_found[-1])
        return one_line(f"the command could not be started (exit code {exit_code}): {last_line(output)}")
    if known_summary(output):
        return None
    if _NO_PYTEST_COV.search(tail):
        return "pytest-cov is not installed"
    if not_found:
        return _named(not_found[-1])
    return one_line(f"command not found: {last_line(output)}") if _MAKE_NOT_FOUND.search(tail) else None


def _named(match: re.Match[str]) -> str:
    tool = next(text for text in match.groups() if text)
    return one_line(f"{tool} is not installed" if match["python"] else f"command not found: {tool}")


_BROKEN: Final = (
    (3, re.compile(r"^(?:INTERNALERROR> \S+: |Error while loading plugin ).*$", re.MULTILINE), "pytest could not run"),
    (4, re.compile(r"^(?:ERROR: usage: .*|\S+: error: .*)$", re.MULTILINE), "pytest refused its command line"),
    (137, re.compile(""), "killed (exit code 137), possibly because it ran out of memory"),
    (143, re.compile(""), "terminated (exit code 143)"),
)


def _broken_check(exit_code: int, output: str) -> str | None:
    for code, pattern, summary in _BROKEN:
        if code == exit_code and (found := pattern.findall(output)):
            return one_line(f"{summary}: {found[-1]}") if found[-1] else summary
    return None
