"""One session with other plugins: ordinary tests, and steps that pass, are retried, are escalated, fail and are skipped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from .kit import (
    COUNTS,
    EVERYTHING,
    LINES,
    PLUGINS,
    RAN,
    STEPS,
    Session,
    allure_results,
    html_rows,
    make_project,
    mixed_project,
    session,
)

if TYPE_CHECKING:
    from pathlib import Path

ONE = "name: one\nsteps:\n  - name: impl\n    agent: claude-haiku\n    prompt: Do it.\n    gate: [compile]\n"


@pytest.fixture(scope="module")
def together(python: str, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Run a session with all plugins enabled."""
    project = mixed_project(tmp_path_factory.mktemp("together") / "project")
    return session(project, python, *EVERYTHING, tests=["test_app.py"])


@pytest.mark.parametrize("plugin", [name for name in PLUGINS if name != "sugar"])
def test_counts_and_lines_are_right_with_one_plugin(tmp_path: Path, python: str, plugin: str) -> None:
    ended = session(mixed_project(tmp_path / "project"), python, *PLUGINS[plugin], tests=["test_app.py"], only=[plugin])
    assert ended.counts == COUNTS, ended.text
    assert ended.own_lines == LINES
    assert ended.order == RAN
    assert "INTERNALERROR" not in ended.text
    assert ended.exit_code == pytest.ExitCode.TESTS_FAILED


def test_counts_and_lines_are_right_with_all_plugins(together: Session) -> None:
    assert together.counts == COUNTS, together.text
    assert together.own_lines == LINES
    assert "INTERNALERROR" not in together.text
    assert together.exit_code == pytest.ExitCode.TESTS_FAILED
    header = next(line for line in together.text.splitlines() if line.startswith("plugins: "))
    assert all(name in header for name in ("asyncio", "bdd", "sugar", "randomly", "gump", "xdist"))


def test_junit_has_each_step_once(together: Session) -> None:
    cases = ET.parse(together.project.path / "junit.xml").getroot().findall(".//testcase")
    steps = [
        f"{case.get('classname')}::{case.get('name')}" for case in cases if "spec.md" in str(case.get("classname"))
    ]
    expected = [f"spec.md.all::{path}" if "::" not in path else "spec.md.all." + path for path in STEPS]
    assert sorted(steps) == sorted(expected)


def test_html_has_each_step_once_with_agent_cost_and_attempts(together: Session) -> None:
    rows = html_rows(together.project.path / "report.html")
    assert sorted(nodeid for nodeid in rows if nodeid.startswith("spec.md")) == sorted(
        f"spec.md::all::{path}" for path in STEPS
    )
    assert all(len(found) == 1 for found in rows.values())
    shown = {nodeid.removeprefix("spec.md::all::"): [row[0][0], *row[0][2:5]] for nodeid, row in rows.items()}
    assert shown["build::impl[two]"] == ["Passed", "claude-sonnet", "$0.75", "3"]
    assert shown["decompose"] == ["Passed", "claude-opus", "$0.01", "1"]
    assert shown["quality"] == ["Passed", "gate", "$0.00", "1"]
    assert shown["review"] == ["Failed", "claude-haiku", "$0.01", "1"]
    assert shown["after"] == ["Skipped", "", "", ""]
    assert shown["test_app.py::test_one"] == ["Passed", "", "", ""]


def test_html_names_its_columns(together: Session) -> None:
    text = (together.project.path / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r"<th[^>]*>([A-Z]\w+)</th>", text)
    assert titles[:6] == ["Result", "Test", "Agent", "Cost", "Attempts", "Duration"]


def test_allure_has_all_attempts_and_shows_those_of_one_step_as_retries(together: Session) -> None:
    results = [one for one in allure_results(together.project.path / "allure") if one["fullName"].startswith("spec")]
    by_step: dict[str, list[tuple[str, str]]] = {}
    for result in results:
        by_step.setdefault(result["name"], []).append((result["status"], result["historyId"]))
    assert {name: [status for status, _ in found] for name, found in by_step.items()} == {
        "decompose": ["passed"],
        "tests[one]": ["passed"],
        "impl[one]": ["failed", "passed"],
        "tests[two]": ["passed"],
        "impl[two]": ["failed", "failed", "passed"],
        "quality": ["passed"],
        "review": ["failed"],
        "after": ["skipped"],
    }
    histories = [{history for _, history in found} for found in by_step.values()]
    assert all(len(history) == 1 for history in histories)
    assert len(set.union(*histories)) == len(STEPS)


def test_coverage_of_the_ordinary_tests_is_measured(together: Session) -> None:
    assert re.search(r"^app\.py +1 +0 +100%$", together.text, re.MULTILINE)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_steps_keep_the_order_of_the_workflow_if_tests_are_shuffled(tmp_path: Path, python: str, seed: int) -> None:
    ended = session(mixed_project(tmp_path / "project"), python, f"--randomly-seed={seed}", only=["randomly"])
    assert ended.order == RAN


def test_collected_steps_are_shown_in_the_order_of_the_workflow(tmp_path: Path, python: str) -> None:
    ended = session(mixed_project(tmp_path / "project"), python, "--co", "-q", "--randomly-seed=3")
    found = [line.removeprefix("spec.md::all::") for line in ended.text.splitlines() if line.startswith("spec.md::")]
    assert found == ["decompose", "build::tests[*]", "build::impl[*]", "quality", "review", "after"]


def test_ordinary_tests_are_rerun_and_steps_are_not(tmp_path: Path, python: str) -> None:
    project = mixed_project(tmp_path / "project")
    project.write(
        {
            "test_flaky.py": "from pathlib import Path\n\ndef test_flaky(tmp_path_factory):\n"
            "    seen = tmp_path_factory.getbasetemp() / 'seen'\n    before = seen.exists()\n    seen.touch()\n    assert before\n"
        }
    )
    ended = session(project, python, "--reruns=2", tests=["test_flaky.py"])
    assert ended.counts == {**COUNTS, "passed": 7, "rerun": 1}
    assert ended.order == RAN


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_timeout_for_tests_does_not_end_a_step(tmp_path: Path, python: str, method: str) -> None:
    project = make_project(tmp_path / "project")
    project.write({"app.py": "x = 1\n"})
    project.workflow("one", ONE)
    project.answer("impl", writes={"new.py": "x = 1\n"}, pauses_s=[0.5] * 4)
    ended = session(
        project, python, "--timeout=1", f"--timeout-method={method}", "--gump-replay-delay=1", workflow="one"
    )
    assert ended.counts == {"passed": 1}, ended.text
    assert project.record().attempts[0].result.timings.total_s > 1  # type: ignore[union-attr]


def test_steps_need_no_mark_of_a_missing_plugin(tmp_path: Path, python: str) -> None:
    ended = session(mixed_project(tmp_path / "project"), python, "--strict-markers", "-W", "error", only=[])
    assert {**ended.counts, "passed": 8} == COUNTS, ended.text
    assert "timeout" not in ended.text


def test_sugar_draws_its_bar_and_our_lines_are_kept(tmp_path: Path, python: str) -> None:
    ended = session(mixed_project(tmp_path / "project"), python, "--force-sugar", tests=["test_app.py"], only=["sugar"])
    assert ended.own_lines == LINES, ended.text
    results = re.findall(r"^ +(\d+ \w+)$", ended.text.partition("Results (")[2], re.MULTILINE)
    assert results == ["8 passed", "1 failed", "1 skipped"]
    assert max(int(percent) for percent in re.findall(r"(\d+)%", ended.text)) == 100
    assert "INTERNALERROR" not in ended.text


def test_instafail_shows_a_failed_step_once_and_no_retried_step(together: Session) -> None:
    assert together.text.count("gate touched: nothing.txt: ") == 1
    assert "FAILURES" not in together.text
    assert "SyntaxError" not in together.text


def test_coroutines_and_scenarios_run_in_a_session_with_steps(tmp_path: Path, python: str) -> None:
    project = mixed_project(tmp_path / "project")
    project.write(
        {
            "test_async.py": "import pytest\n\n@pytest.mark.asyncio\nasync def test_coroutine():\n    assert True\n",
            "shop.feature": "Feature: shop\n  Scenario: buy\n    Given a basket\n",
            "test_bdd.py": "from pytest_bdd import given, scenarios\n\nscenarios('shop.feature')\n\n"
            "@given('a basket')\ndef basket():\n    pass\n",
        }
    )
    ended = session(project, python, tests=["test_async.py", "test_bdd.py"])
    assert ended.counts == COUNTS, ended.text
    assert ended.own_lines == LINES
