"""A step that fails in a parallel group that has an on_failure policy of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

WORKFLOW = """\
name: reviews
steps:
  - {name: change, agent: claude-haiku, prompt: Do it., gate: [compile]}
  - name: both
    parallel: true
    steps:
      - {name: strict, agent: claude-sonnet, output: review, prompt: Look.}
      - {name: kind, agent: claude-sonnet, output: review, prompt: Look.}
    on_failure: {retry: 2, restart_from: change}
"""


def test_a_failed_step_of_a_parallel_group_is_shown_once(project: GumpProject) -> None:
    project.workflow("reviews", WORKFLOW)
    for attempt in (1, 2, 3):
        project.answer("change", attempt=attempt, writes={"new.py": f"x = {attempt}\n"})
        project.review("both::kind", passes=True, attempt=attempt)
        project.review("both::strict", passes=False, attempt=attempt, comment=f"no {attempt}")
    result = project.run_apart("reviews", "-n0", "--junitxml=junit.xml")
    cases = ET.parse(project.path / "junit.xml").findall(".//testcase")
    assert sorted(str(case.get("name")) for case in cases) == ["change", "kind", "strict"]
    (strict,) = (case for case in cases if case.get("name") == "strict")
    assert len(strict.findall("failure")) == 1
    assert float(str(strict.get("time"))) > 0
    lines = [line.split()[:2] for line in result.outlines if "strict" in line.split()[:2]]
    assert lines[-1] == ["✗", "strict"]
    failures = result.stdout.str().partition("= FAILURES =")[2].partition("= gump ")[0]
    assert failures.count("review did not pass: no 2") == 1
    assert result.parseoutcomes() == {"failed": 1, "passed": 2, "retried": 1}
