"""Output of `gump doctor` as text and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.text import pad
from pytest_gump.units import format_duration, format_usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.cli.doctor.agents import CliState, LiveCall
    from pytest_gump.cli.doctor.checks import Check
    from pytest_gump.cli.output import Out
    from pytest_gump.conformance import Finding

SCHEMA: Final = 2
_COLOURS: Final = {"ok": "green", "note": "yellow", "failed": "red", "absent": "dim"}
_UNTESTED: Final = "untested: the adapter is based on documentation only"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    workflow: str | None
    checks: tuple[Check, ...]
    clis: tuple[CliState, ...]
    live: tuple[LiveCall, ...]
    findings: tuple[Finding, ...] | None
    """Results of the conformance suite; None if it was not requested."""

    @property
    def failed(self) -> list[str]:
        """Names of failed checks."""
        return [
            *(check.name for check in self.checks if check.state == "failed"),
            *(f"call of {call.agent}" for call in self.live if not call.ok),
            *(f"{finding.cli} {finding.scenario}" for finding in self.findings or () if finding.state == "fails"),
        ]


def record_of(diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "workflow": diagnosis.workflow,
        "ok": not diagnosis.failed,
        "failed": diagnosis.failed,
        "checks": [asdict(check) for check in diagnosis.checks],
        "clis": [asdict(cli) for cli in diagnosis.clis],
        "live": [asdict(call) for call in diagnosis.live],
        "conformance": None if diagnosis.findings is None else [asdict(finding) for finding in diagnosis.findings],
    }


def print_diagnosis(diagnosis: Diagnosis, out: Out) -> None:
    columns = max(len(check.name) for check in diagnosis.checks)
    for check in diagnosis.checks:
        _line(out, check.state, check.name, check.value, columns)
        if check.hint and check.state != "ok":
            out.text(check.hint, indent=" " * (columns + 4))
    _clis(diagnosis.clis, out)
    _live(diagnosis.live, out)
    if diagnosis.findings is not None:
        _conformance(diagnosis.findings, out)
    out.line()
    workflow = f"workflow {diagnosis.workflow}" if diagnosis.workflow else ""
    if diagnosis.failed:
        verdict = f"{workflow} cannot run" if workflow else "failed checks"
        out.text(f"{verdict}: {', '.join(diagnosis.failed)}", colour="red")
    else:
        out.text(f"all prerequisites of {workflow} are met" if workflow else "no check failed", colour="green")


def _line(out: Out, state: str, name: str, value: str, columns: int) -> None:
    marks = {"ok": out.marks.passed, "note": "!", "failed": out.marks.failed, "absent": out.marks.skipped}
    out.text(f"{marks[state]} {pad(name, columns)}  {value}", colour=_COLOURS[state])


def _clis(clis: Sequence[CliState], out: Out) -> None:
    if not clis:
        return
    out.heading("agent CLIs")
    columns = max(len(cli.cli) for cli in clis)
    for cli in clis:
        _line(out, _state(cli), cli.cli, _described(cli), columns)


def _state(cli: CliState) -> str:
    if not cli.installed:
        return "absent"
    return "ok" if cli.standing == "tested" and cli.problem is None else "note"


def _described(cli: CliState) -> str:
    untested = f"; {_UNTESTED}" if cli.tested is None else ""
    if not cli.installed:
        return f"{cli.problem}{untested}"
    standings = {
        "tested": f"tested ({cli.tested})",
        "newer": f"newer than the tested version ({cli.tested})",
        "older": f"older than the tested version ({cli.tested})",
        "unknown": f"tested version: {cli.tested}",
        "untested": _UNTESTED,
    }
    login = "login not checked" if cli.login is None else f"login: {cli.login}"
    version = cli.version or cli.problem or "version unknown"
    problem = f"; {cli.problem}" if cli.version and cli.problem else ""
    return f"{version}, {standings[cli.standing or 'unknown']}; {login}{problem}"


def _live(calls: Sequence[LiveCall], out: Out) -> None:
    if not calls:
        return
    out.heading("live requests")
    columns = max(len(call.agent) for call in calls)
    for call in calls:
        cost = format_usd(call.cost_usd, estimated=call.provenance == "estimated")
        facts = [call.model or "", cost if call.ok else "", format_duration(call.duration_s)]
        value = f"{call.message} ({', '.join(fact for fact in facts if fact)})"
        _line(out, "ok" if call.ok else "failed", call.agent, value, columns)


def _conformance(findings: Sequence[Finding], out: Out) -> None:
    out.heading("conformance")
    if not findings:
        out.line("no supported CLI is installed")
        return
    rows = [
        (
            finding.cli,
            finding.scenario,
            finding.state,
            format_duration(finding.duration_s) if finding.duration_s else "",
            finding.reason,
        )
        for finding in findings
    ]
    out.table(("CLI", "scenario", "result", "time", "remark"), rows, right=("time",))
