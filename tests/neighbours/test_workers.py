"""The session with all plugins and with workers: ordinary tests and plan items run in parallel."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from .kit import COUNTS, EVERYTHING, RAN, STEPS, Session, allure_results, html_rows, mixed_project, session

MERGES = ["build::merge[one]", "build::merge[two]"]


@pytest.fixture(scope="module")
def together(python: str, tmp_path_factory: pytest.TempPathFactory) -> Session:
    project = mixed_project(tmp_path_factory.mktemp("workers") / "project", parallel=True)
    return session(project, python, "-n2", *EVERYTHING, tests=["test_app.py"])


def test_counts_are_right_with_all_plugins(together: Session) -> None:
    assert together.counts == {**COUNTS, "passed": COUNTS["passed"] + len(MERGES)}, together.text
    assert "2 workers" in together.text
    assert "INTERNALERROR" not in together.text
    assert together.exit_code == pytest.ExitCode.TESTS_FAILED


def test_each_attempt_runs_once(together: Session) -> None:
    assert sorted(together.order) == sorted([*RAN, *(f"{merge} 1" for merge in MERGES)])


def test_junit_and_html_have_each_step_once(together: Session) -> None:
    steps = sorted([*STEPS, *MERGES])
    cases = ET.parse(together.project.path / "junit.xml").getroot().findall(".//testcase")
    names = [str(case.get("name")) for case in cases if "spec.md" in str(case.get("classname"))]
    assert sorted(names) == sorted(path.rpartition("::")[2] for path in steps)
    rows = html_rows(together.project.path / "report.html")
    assert {nodeid: len(found) for nodeid, found in rows.items() if nodeid.startswith("spec.md")} == {
        f"spec.md::all::{path}": 1 for path in steps
    }


def test_allure_has_all_attempts(together: Session) -> None:
    results = allure_results(together.project.path / "allure")
    found = Counter(one["name"] for one in results if one["fullName"].startswith("spec"))
    begun = Counter(path.partition(" ")[0].rpartition("::")[2] for path in together.order)
    assert found == begun + Counter(["after"])


def test_coverage_of_the_ordinary_tests_is_measured(together: Session) -> None:
    assert re.search(r"^app\.py +1 +0 +100%$", together.text, re.MULTILINE)
