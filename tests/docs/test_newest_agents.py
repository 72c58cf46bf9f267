"""How `make test-agents-newest` compares two versions of the agent CLIs."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "tools" / "newest_agents.py"))
REPORT = """\
<testsuites><testsuite>
<testcase classname="tests.conformance.test_scenarios" name="test_the_scenario_holds[claude-status-401]">
  <properties><property name="finding" value="holds: agent_error after 9.1 s: 401"/></properties>
</testcase>
<testcase classname="tests.conformance.test_scenarios" name="test_the_scenario_holds[codex-commands]">
  <properties><property name="finding" value="fails: ordinary commands that no longer run: ls"/></properties>
  <failure message="AssertionError: ordinary commands">a long text</failure>
</testcase>
<testcase classname="tests.conformance.test_tdd" name="test_a_run[codex]"><failure message="assert 1 == 2&#10;more"/></testcase>
<testcase classname="tests.conformance.test_tdd" name="test_a_run[claude]"/>
</testsuite></testsuites>
"""


def differences(pinned: dict[str, str], newest: dict[str, str]) -> list[str]:
    return list(SCRIPT["compare"](pinned, newest))


def test_a_report_gives_the_finding_of_a_scenario_and_the_outcome_of_another_test() -> None:
    assert SCRIPT["results"](REPORT) == {
        "claude status-401": "holds: agent_error after 9.1 s: 401",
        "codex commands": "fails: ordinary commands that no longer run: ls",
        "test_a_run[codex]": "failed: assert 1 == 2",
        "test_a_run[claude]": "passed",
    }


def test_another_result_and_another_remark_are_shown_for_both_versions() -> None:
    pinned = {"claude cut": "holds: after 3 answers", "codex cut": "holds", "codex fork": "holds"}
    newest = {"claude cut": "holds: after 4 answers", "codex cut": "holds", "codex fork": "fails: no"}
    assert differences(pinned, newest) == [
        "claude cut\n  pinned: holds: after 3 answers\n  newest: holds: after 4 answers",
        "codex fork\n  pinned: holds\n  newest: fails: no",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("holds: 1.0 s", "holds: 12 s"),
        ("holds: 3 processes; all processes ended 0.2 s later", "holds: 4 processes; all processes ended 0.3 s later"),
        ("fails: url: http://127.0.0.1:36979/v1", "fails: url: http://127.0.0.1:46979/v1"),
        (
            "holds: '/x/conformance/codex-no-write-6xbsym6m/slots'",
            "holds: '/x/conformance/codex-no-write-tvf3_hqk/slots'",
        ),
    ],
)
def test_times_ports_and_folders_are_no_difference(before: str, after: str) -> None:
    assert differences({"claude term": before}, {"claude term": after}) == []


def test_a_test_that_ran_only_once_is_a_difference() -> None:
    assert differences({"a": "passed"}, {"b": "passed"}) == [
        "a\n  pinned: passed\n  newest: did not run",
        "b\n  pinned: did not run\n  newest: passed",
    ]


def test_the_packages_are_the_pinned_ones() -> None:
    pinned = json.loads((ROOT / "tests" / "conformance" / "package.json").read_bytes())["dependencies"]
    assert set(SCRIPT["PACKAGES"].values()) == set(pinned)


def test_nothing_runs_if_no_version_is_newer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in SCRIPT["PACKAGES"].values():
        package = tmp_path / "npm" / "node_modules" / name
        package.mkdir(parents=True)
        (package / "package.json").write_text('{"version": "1.2.3"}', encoding="utf-8")
    assert SCRIPT["main"]([str(tmp_path), str(tmp_path)]) == 0
    assert capsys.readouterr().out == "the pinned versions are the newest\n"
