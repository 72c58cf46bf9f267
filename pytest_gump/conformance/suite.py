"""Runs scenarios with CLIs, one after the other, and reports which hold."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.agents.registry import resolve
from pytest_gump.conformance import (
    scenarios_bounds,
    scenarios_commands,
    scenarios_faults,
    scenarios_guards,
    scenarios_sessions,
    scenarios_work,
)
from pytest_gump.conformance.bench import Bench, Fails
from pytest_gump.conformance.subjects import SUBJECTS
from pytest_gump.errors import AgentError, GumpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_gump.conformance.scenario import Scenario
    from pytest_gump.conformance.subjects import Subject

FindingState = Literal["holds", "fails", "not applicable", "not installed"]

CLIS: Final = tuple(SUBJECTS)
_ALL: Final = (
    *scenarios_work.SCENARIOS,
    *scenarios_sessions.SCENARIOS,
    *scenarios_bounds.SCENARIOS,
    *scenarios_commands.SCENARIOS,
    *scenarios_guards.SCENARIOS,
    *scenarios_faults.SCENARIOS,
)
SCENARIOS: Final = tuple(scenario.name for scenario in _ALL)


@dataclass(frozen=True, slots=True)
class Finding:
    cli: str
    scenario: str
    state: FindingState
    reason: str
    """One line: what was observed if it fails, why it did not run, or a figure. May be empty if it holds."""
    duration_s: float = 0.0


def run(
    cli_names: Sequence[str],
    say: Callable[[str], None],
    only: Sequence[str] = (),
    *,
    scratch: Path | None = None,
    patience_s: float = 15.0,
) -> list[Finding]:
    """Run the scenarios in `only`, or all, with the CLIs that are on PATH.

    `say` gets one line before and after each. Scratch folders are created in `scratch`, by default in the user's cache,
    and removed afterwards. In scenarios with faults, a CLI that keeps retrying is stopped after `patience_s` seconds.
    While a CLI runs, `os.environ` of this process is replaced, so no other thread may use it.

    Raises:
        AgentError: An unknown CLI or scenario.
    """
    _check(cli_names, CLIS, "CLI")
    _check(only, SCENARIOS, "scenario")
    chosen = [scenario for scenario in _ALL if not only or scenario.name in only]
    findings: list[Finding] = []
    for cli in cli_names:
        for scenario in chosen:
            say(f"{cli}: {scenario.name} ...")
            findings.append(_try(SUBJECTS[cli], scenario, scratch or default_scratch(), patience_s))
            say(_line(findings[-1]))
    return findings


def left_out(cli: str, scenario: str) -> str | None:
    """Return why a scenario does not apply to a CLI; None if it applies."""
    return next(known for known in _ALL if known.name == scenario).left_out.get(cli)


def _check(names: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise AgentError(f"the conformance suite has no {what} {name!r}", hint=f"available: {', '.join(known)}")


def _line(finding: Finding) -> str:
    remark = f": {finding.reason}" if finding.reason else ""
    return f"{finding.cli}: {finding.scenario} {finding.state} ({finding.duration_s:.1f} s){remark}"


def _try(subject: Subject, scenario: Scenario, scratch: Path, patience_s: float) -> Finding:
    began = time.monotonic()

    def found(state: FindingState, reason: str) -> Finding:
        return Finding(subject.cli, scenario.name, state, reason, time.monotonic() - began)

    if (why := scenario.left_out.get(subject.cli)) is not None:
        return found("not applicable", why)
    if (missing := resolve(subject.agent).missing()) is not None:
        return found("not installed", missing)
    try:
        with _bench(subject, scenario, scratch, patience_s) as bench:
            return found("holds", scenario.check(bench))
    except Fails as fails:
        return found("fails", str(fails))
    except GumpError as error:
        return found("fails", f"the scenario could not run: {error.args[0]}")


@contextlib.contextmanager
def _bench(subject: Subject, scenario: Scenario, scratch: Path, patience_s: float) -> Iterator[Bench]:
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{subject.cli}-{scenario.name}-", dir=scratch))
    try:
        bench = Bench(subject, folder, patience_s)
        bench.prepare()
        yield bench
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def default_scratch() -> Path:
    """Return a folder in the user's cache. In /tmp, tests would prove nothing: some sandboxes allow writes there."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache if os.path.isabs(cache) else os.path.expanduser("~/.cache"))  # noqa: PTH111, PTH117
    return base / "gump" / "conformance"
