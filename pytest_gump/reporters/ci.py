"""`--gump-ci`: report the runs to a CI service, with a summary and the locations of failed steps."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.engine.reporting.notices import reservations
from pytest_gump.errors import WorktreeError
from pytest_gump.reporters.ci_summary import MAX_STEPS, cells, gates_of, markdown
from pytest_gump.reporters.lines import run_line
from pytest_gump.reporters.located_run import REASON_CHARS, LocatedRun, short
from pytest_gump.system.git.repository import Repository
from pytest_gump.text import ASCII, clean_text, pad, width

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_gump.engine.record.records import RunRecord, StepRecord
    from pytest_gump.workflow.loaded import Loaded

HEAD: Final = ("", "step", "outcome", "agent", "attempts", "cost", "turns", "time", "skipped gates")
FOLDER: Final = ".gump/ci"


def service(choice: str, environ: Mapping[str, str]) -> str:
    """Return the CI service: `github`, `gitlab` or `off`."""
    if choice != "auto":
        return choice
    names = {"github": "GITHUB_ACTIONS", "gitlab": "GITLAB_CI"}
    return next((name for name, variable in names.items() if environ.get(variable) == "true"), "off")


class CI:
    """Plugin of the conductor. Reports to the service at the end of every session, even a broken one."""

    def __init__(self, config: pytest.Config) -> None:
        self._service = service(config.getoption("gump_ci"), os.environ)
        self._runs: list[LocatedRun] = []
        self._problems: list[str] = []

    def run_started(self, record: RunRecord, loaded: Loaded, root: Path) -> None:
        self._runs.append(LocatedRun(record, loaded, root))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        try:
            if self._runs and self._service == "github":
                self._write_summary()
            elif self._runs and self._service == "gitlab":
                _write_artifacts([*map(_with_changes, self._runs)])
        except OSError as error:
            self._problems.append(f"--gump-ci: cannot write {error.filename}: {error.strerror}")

    def _write_summary(self) -> None:
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if path:
            with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - the path as the service sets it
                file.write(markdown([*map(_with_changes, self._runs)]))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        lines = list(self._problems)
        if self._service == "github":
            lines += annotation_commands(self._runs)
        elif self._service == "gitlab":
            lines += log_sections(self._runs)
        if lines:
            terminalreporter.ensure_newline()
        for line in lines:
            terminalreporter.write_line(line)


def _with_changes(run: LocatedRun) -> LocatedRun:
    record = run.record
    try:
        return run._replace(changed=Repository.open(run.root).changed(record.base, record.head or record.base))
    except WorktreeError:
        return run


# -- GitHub Actions ----------------------------------------------------------------------------------------------


def annotation_commands(runs: Sequence[LocatedRun]) -> list[str]:
    """Return workflow commands that annotate steps in the workflow file: those that failed or wait for a person."""
    return [
        f"::{'error' if found.is_failure else 'warning'} "
        f"file={_property(found.file)},line={found.line},title={_property(found.title)}::{_data(found.text)}"
        for run in runs
        for found in run.findings()
    ]


def _data(text: str) -> str:
    """Escape the message of a workflow command, as GitHub's toolkit does."""
    plain = clean_text(text)[:REASON_CHARS]
    return plain.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# -- GitLab CI ---------------------------------------------------------------------------------------------------


def rows(record: RunRecord) -> list[tuple[str, ...]]:
    """Return a row for each step, without the header and without escaping."""
    return [_row(step) for step in record.steps.values()]


def _row(step: StepRecord) -> tuple[str, ...]:
    skipped = ", ".join(gate.name for gate in gates_of(step) if gate.status == "skipped")
    return (*cells(step), skipped if step.own else "")


def log_sections(runs: Sequence[LocatedRun]) -> list[str]:
    """Return a collapsed section of the job's log for each run."""
    lines = []
    for run in runs:
        record = run.record
        name, now = f"gump_{re.sub(r'[^A-Za-z0-9]', '_', record.run_id)}", int(time.time())
        title = f"{short(record.workflow)} on {short(record.spec)}: {run_line(record, ASCII)}"
        lines += [f"\x1b[0Ksection_start:{now}:{name}[collapsed=true]\r\x1b[0K{title}"]
        lines += _table(rows(record)[:MAX_STEPS])
        lines += [f"{short(path)}: {short(text)}" for path, text in reservations(record)][:MAX_STEPS]
        lines += [short(found.text) for found in run.findings()]
        lines += [f"\x1b[0Ksection_end:{now}:{name}\r\x1b[0K"]
    return lines


def _table(body: Sequence[tuple[str, ...]]) -> list[str]:
    table = [HEAD, *(tuple(clean_text(cell) for cell in row) for row in body)]
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(pad, row, widths)).rstrip() for row in table]


def _write_artifacts(runs: Sequence[LocatedRun]) -> None:
    """Write files that a job can store as artifacts: the summary, and a Code Quality report."""
    folder = runs[0].root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        ".gitignore": "*\n",
        "summary.md": markdown(runs),
        "code-quality.json": json.dumps(code_quality(runs), indent=2) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def code_quality(runs: Sequence[LocatedRun]) -> list[dict[str, Any]]:
    """Return failed and waiting steps in the subset of the Code Climate format that GitLab reads."""
    return [
        {
            "description": short(found.text),
            "check_name": "gump",
            "fingerprint": hashlib.sha256(f"{found.title}\0{found.file}".encode()).hexdigest(),
            "severity": "critical" if found.is_failure else "info",
            "location": {"path": found.file, "lines": {"begin": found.line}},
        }
        for run in runs
        for found in run.findings()
    ]
