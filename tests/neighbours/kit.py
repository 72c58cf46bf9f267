"""Real sessions in separate processes, with the interpreter that has all the other plugins."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from pytest_gump.testing import GumpProject

from tests.kits.workflows import BROKEN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLUGINS: Final = {
    "pytest_cov": ["--cov=app"],
    "timeout": ["--timeout=1"],
    "rerunfailures": ["--reruns=2"],
    "randomly": ["--randomly-seed=7"],
    "sugar": [],
    "html": ["-p", "metadata", "--html=report.html", "-W", "ignore::pytest.PytestAssertRewriteWarning"],
    "asyncio": ["-o", "asyncio_default_fixture_loop_scope=function"],
    "pytest-bdd": ["--gherkin-terminal-reporter"],
    "instafail": ["--instafail"],
    "allure_pytest": ["--alluredir=allure"],
    "flaky": ["--force-flaky", "--max-runs=3"],
    "pytest-retry": ["--retries=2"],
    "pytest_markdown_docs": ["--markdown-docs"],
}
"""The entry point of each plugin, and the options that enable it."""

RIVALS: Final = ("flaky", "pytest-retry")
"""Each replaces the runtest protocol of all tests: with one of them, pytest-rerunfailures repeats no test."""

EVERYTHING: Final = [
    "--cov=app", "--timeout=1", "--reruns=2", "--html=report.html", "--instafail", "--alluredir=allure",
    "--junitxml=junit.xml", "-o", "asyncio_default_fixture_loop_scope=function",
]  # fmt: skip

WORKFLOW: Final = """\
name: all
steps:
  - name: decompose
    agent: claude-opus
    output: plan
    prompt: Split it.
  - name: build
    foreach: decompose
    steps:
      - name: tests
        agent: claude-haiku
        prompt: "Test {item.name}."
        gate: [compile]
      - name: impl
        agent: claude-haiku
        prompt: "Build {item.name}."
        gate: [compile]
        on_failure: {retry: 3, strategy: [same, same, "escalate: claude-sonnet"]}
  - name: quality
    gate: [compile]
  - name: review
    agent: claude-haiku
    prompt: Again.
    gate: ["touched: nothing.txt"]
  - name: after
    gate: [compile]
"""

STEPS: Final = [
    "decompose", "build::tests[one]", "build::impl[one]", "build::tests[two]", "build::impl[two]", "quality", "review",
    "after",
]  # fmt: skip
RAN: Final = [
    "decompose 1", "build::tests[one] 1", "build::impl[one] 1", "build::impl[one] 2", "build::tests[two] 1",
    "build::impl[two] 1", "build::impl[two] 2", "build::impl[two] 3", "quality 1", "review 1",
]  # fmt: skip
COUNTS: Final = {"passed": 8, "failed": 1, "skipped": 1, "retried": 2, "escalated": 1}
"""Two ordinary tests and eight steps."""

LINES: Final = [
    "✓ decompose", "▸ build[one]", "  ✓ tests", "  ⟳ impl", "  ✓ impl", "▸ build[two]", "  ✓ tests", "  ⟳ impl",
    "  ⟳ impl", "  ✓ impl", "✓ quality", "✗ review", "○ after",
]  # fmt: skip


@dataclass(frozen=True)
class Session:
    """A finished test session."""

    project: GumpProject
    exit_code: int
    text: str

    @property
    def counts(self) -> dict[str, int]:
        return pytest.RunResult.parse_summary_nouns(self.text.splitlines())

    @property
    def own_lines(self) -> list[str]:
        """Lines of steps and groups, up to the name."""
        found = re.findall(r"^( *[✓✗⟳○▸] [\w\[\]]+)(?: |$)", self.text, re.MULTILINE)
        return [str(line) for line in found]

    @property
    def order(self) -> list[str]:
        """All attempts in the order of their start."""
        return [
            f"{event['step']} {event['attempt']}"
            for event in self.project.ledger()
            if event["event"] == "attempt_started"
        ]


def make_project(path: Path) -> GumpProject:
    """Create a repository without a real pytester, because sessions run in other processes."""
    path.mkdir()
    return GumpProject(cast("pytest.Pytester", SimpleNamespace(path=path)))


def mixed_project(path: Path, *, parallel: bool = False) -> GumpProject:
    """Create a project with ordinary tests, and steps that pass, are retried, are escalated, fail and are skipped."""
    project = make_project(path)
    tests = "from app import value\n\ndef test_one():\n    assert value == 1\n\ndef test_two():\n    assert value\n"
    ignored = "__pycache__/\n.pytest_cache/\n.coverage\nallure/\nreport.html\nassets/\njunit.xml\n"
    project.write({"app.py": "value = 1\n", "test_app.py": tests, ".gitignore": ignored})
    foreach = "    foreach: decompose\n"
    project.workflow("all", WORKFLOW.replace(foreach, f"{foreach}    parallel: true\n") if parallel else WORKFLOW)
    project.plan("decompose", "one", "two")
    for item in ("one", "two"):
        project.answer(f"build::tests[{item}]", writes={f"check_{item}.py": f"import {item}\n"})
    for attempt, text in enumerate((BROKEN, "x = 1\n"), 1):
        project.answer("build::impl[one]", attempt=attempt, writes={"one.py": text})
    for attempt, text in enumerate((BROKEN, BROKEN + "#\n", "x = 1\n"), 1):
        project.answer("build::impl[two]", attempt=attempt, writes={"two.py": text}, cost_usd=0.25)
    project.answer("review", writes={"other.py": "x = 1\n"})
    return project


def session(
    project: GumpProject,
    python: str,
    *options: str,
    workflow: str = "all",
    tests: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> Session:
    """Run a workflow and ordinary tests in a session. With `only`, no other plugins load beside ours."""
    cache = project.path.parent / "cache"
    cache.mkdir(exist_ok=True)
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "PYTEST_", "COV", "PY_COLORS", "FORCE_COLOR"))
        and name not in {"CI", "BUILD_NUMBER"}  # pytest then prints whole failures in its summary
    }
    loaded = [word for name in RIVALS for word in ("-p", f"no:{name}")]
    if only is not None:
        clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        loaded = [word for name in ("gump", "xdist", *only) for word in ("-p", name)]
    command = [python, "-m", "pytest", *loaded, f"--gump-workflow={workflow}", f"--gump-replay={project.cassette}"]
    done = subprocess.run(
        [*command, *options, "spec.md", *tests],
        cwd=project.path,
        env=clean | dict.fromkeys(("XDG_CACHE_HOME", "HOME", "TMPDIR"), str(cache)) | {"COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Session(project, done.returncode, done.stdout)


def html_rows(path: Path) -> dict[str, list[list[str]]]:
    """Return the cells of the table of pytest-html by node id."""
    blob = re.search(r'data-jsonblob="([^"]*)"', path.read_text(encoding="utf-8"))
    assert blob is not None, "pytest-html stores its data in another attribute"
    tests: dict[str, list[dict[str, Any]]] = json.loads(html.unescape(blob[1]))["tests"]
    return {
        nodeid: [re.findall(">([^<]*)</td>", "".join(row["resultsTableRow"])) for row in rows]
        for nodeid, rows in tests.items()
    }


def allure_results(folder: Path) -> list[dict[str, Any]]:
    """Return the results that Allure received, by start time."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*-result.json")]
    return sorted(found, key=lambda result: result["start"])
