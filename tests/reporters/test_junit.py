"""JUnit XML of a session, read with ElementTree and junitparser. Its costs match the ledger and `gump report`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from junitparser import xunit2
from pytest_gump.agents.cassettes.neutral import conversation, usage_event
from pytest_gump.agents.usage import Tokens
from pytest_gump.cli.program import main
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger

from tests.kits.workflows import BROKEN, ONE, REPLAN, RESTART, RETRY

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

NASTY = "\x1b[31mred\x1b[0m\x00\x07 ]]> <b> & \uffff ::error::no"


def read(project: GumpProject) -> ET.Element:
    return ET.parse(project.path / "junit.xml").getroot()


def cases(project: GumpProject) -> dict[str, ET.Element]:
    """Return the test cases by step, after a check that each has a unique name."""
    found = read(project).findall(".//testcase")
    assert all(case.get("name") and case.get("classname") for case in found)
    names = [properties(case).get("gump.step", case.get("name")) for case in found]
    assert len(names) == len(set(names))
    return dict(zip([str(name) for name in names], found, strict=True))


def properties(element: ET.Element) -> dict[str, str]:
    return {one.attrib["name"]: one.attrib["value"] for one in element.findall("properties/property")}


def details(case: ET.Element) -> dict[str, str]:
    lines = str(case.findtext("system-out")).splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("gump."))


def cost(element: ET.Element) -> Decimal:
    return Decimal(properties(element).get("gump.cost_usd", "0"))


def assert_costs_agree(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> Decimal:
    """Check that XML, ledger and `gump report --json` agree for the run and each step. Return the total cost."""
    record = project.record()
    capsys.readouterr()
    assert main(["report", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    recorded = {
        path: sum((Decimal(str(one.result.usage.cost_usd or 0)) for one in step.attempts if one.result), Decimal())
        for path, step in record.steps.items()
    }
    assert {path: cost(case) for path, case in cases(project).items() if path in recorded} == recorded
    assert {one["path"]: Decimal(str(one["totals"]["cost"]["usd"])) for one in report["steps"]} == recorded
    total = sum(recorded.values(), Decimal())
    assert sum(map(cost, cases(project).values()), Decimal()) == total
    suite = read(project).find("testsuite")
    assert suite is not None
    assert cost(suite) == Decimal(str(report["totals"]["cost"]["usd"])) == total
    return total


@pytest.fixture
def retried(project: GumpProject) -> GumpProject:
    """Return the project of a run with a step whose third attempt passed."""
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.1, says=NASTY)
    project.answer("impl", attempt=2, exit_code=1, outcome="agent_error", reason=NASTY, cost_usd=0.2)
    project.answer("impl", attempt=3, writes={"new.py": "x = 1\n"}, cost_usd=0.05)
    return project


def test_the_cost_of_a_step_is_the_sum_of_its_attempts(
    retried: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    retried.run("retry", "--junitxml=junit.xml").assert_outcomes(passed=1)
    assert assert_costs_agree(retried, capsys) == Decimal("0.35")


@pytest.mark.parametrize("family", ["xunit2", "xunit1", "legacy"])
def test_earlier_attempts_are_in_system_out_for_every_junit_family(retried: GumpProject, family: str) -> None:
    retried.run("retry", "--junitxml=junit.xml", "-o", f"junit_family={family}")
    case = cases(retried)["impl"]
    assert [child.tag for child in case] == ["properties", "system-out"]
    text = str(case.findtext("system-out"))
    assert text.startswith("attempt 1: claude-haiku: gate_failed, $0.10, 2 turns, ")
    assert "\n  gate compile: failed: " in text
    assert "\n\nattempt 2: claude-haiku: agent_error" in text


def test_a_step_has_few_properties_and_more_details_in_system_out(retried: GumpProject) -> None:
    retried.run("retry", "--junitxml=junit.xml")
    case = cases(retried)["impl"]
    assert list(properties(case)) == [
        f"gump.{name}" for name in ("run_id", "step", "agent", "outcome", "attempts", "cost_usd", "cost_provenance")
    ]
    assert set(details(case)) >= {"gump.mode", "gump.turns", "gump.tokens_input", "gump.snapshot"}
    assert details(case)["gump.files_changed"] == "1"


def test_a_gate_without_a_message_has_no_colon(project: GumpProject) -> None:
    project.write({"conftest.py": "def no_todo(step):\n    pass\n\n\n"
                   "def pytest_gump_gates():\n    return {'no_todo': no_todo}\n"})  # fmt: skip
    project.workflow("retry", RETRY.replace("[compile]", "[no_todo, compile]"))
    project.answer("impl", writes={"new.py": BROKEN}, turns=1)
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    project.run("retry", "--junitxml=junit.xml").assert_outcomes(passed=1)
    lines = str(cases(project)["impl"].findtext("system-out")).splitlines()
    assert ", 1 turn, " in lines[0]
    assert "  gate no_todo: passed" in lines


def test_earlier_attempts_of_a_failed_step_are_not_failures(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for attempt in (1, 2, 3):
        project.answer("impl", attempt=attempt, writes={"new.py": BROKEN + f"# {attempt}\n"}, cost_usd=0.1)
    project.run("retry", "--junitxml=junit.xml").assert_outcomes(failed=1)
    case = cases(project)["impl"]
    assert sorted(child.tag for child in case) == ["failure", "properties", "system-out"]
    assert str(case.findtext("system-out")).count("claude-haiku: gate_failed") == 2
    assert assert_costs_agree(project, capsys) == Decimal("0.3")


def test_the_context_of_a_step_is_the_largest_of_its_attempts(project: GumpProject) -> None:
    for attempt, context_tokens in enumerate((154_000, 90_000), 1):
        source = BROKEN if attempt == 1 else "x = 1\n"
        usage = {**usage_event(Tokens(input=9), cost_usd=0.1), "context_tokens": context_tokens}
        project.answer("impl", attempt=attempt, writes={"new.py": source}, stream=[*conversation(), usage])
    project.run("retry", "--junitxml=junit.xml").assert_outcomes(passed=1)
    assert details(cases(project)["impl"])["gump.context_tokens"] == "154000"


def test_turns_and_failed_tool_calls_are_values_of_the_step_and_of_the_run(project: GumpProject) -> None:
    call, failed = {"type": "tool_call", "tool": "Bash", "command": "make"}, {"type": "tool_result", "is_error": True}
    started, *others = conversation(writes=["new.py"])
    turn: dict[str, Any] = {"type": "turn"}
    stream = [started, *[turn, call, failed] * 3, *others]
    project.answer("impl", writes={"new.py": "x = 1\n"}, stream=stream)
    project.run("retry", "--junitxml=junit.xml").assert_outcomes(passed=1)
    suite = read(project).find("testsuite")
    assert suite is not None
    seen, whole = details(cases(project)["impl"]), properties(suite)
    wanted = {
        "turns_command": "3",
        "turns_write": "1",
        "tools_failed": "3",
        "tools_repeated": "2",
        "failure_loops": "1",
    }
    assert {name: seen[f"gump.{name}"] for name in wanted} == wanted
    assert {name: whole[f"gump.{name}"] for name in wanted} == wanted
    assert float(seen["gump.first_write_s"]) >= 0


def test_junitparser_reads_the_file(retried: GumpProject) -> None:
    retried.run("retry", "--junitxml=junit.xml")
    suites: Any = xunit2.JUnitXml.fromfile(str(retried.path / "junit.xml"))
    (suite,) = suites
    (case,) = suite
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (1, 0, 0, 0)
    assert (case.classname, case.name, case.is_passed) == ("spec.md.retry", "impl", True)
    assert {one.name: one.value for one in case.properties()} == properties(cases(retried)["impl"])
    assert str(case.system_out).startswith("attempt 1: claude-haiku: gate_failed")


def test_control_characters_of_an_agent_result_in_valid_xml(project: GumpProject) -> None:
    project.answer("impl", exit_code=1, outcome="agent_error", reason=NASTY)
    project.run("one", "--junitxml=junit.xml").assert_outcomes(failed=1)
    assert str(cases(project)["impl"].findtext("failure")).startswith("impl: red ]]> <b> & #xFFFF ::error")


def test_control_characters_of_a_gate_result_in_valid_xml(project: GumpProject) -> None:
    project.workflow("one", ONE.replace("[compile]", '["bash: cat nasty.bin; false"]'))
    project.answer("impl", writes={"nasty.bin": b"\x1b[31mred\x1b[0m\x00\xff\x07 ]]> <b>\n::error::no\n"})
    project.run("one", "--junitxml=junit.xml").assert_outcomes(failed=1)
    text = str(cases(project)["impl"].findtext("failure"))
    assert "red\ufffd ]]> <b>\n  : :error::no" in text


def test_a_step_with_an_internal_error_has_a_name(project: GumpProject) -> None:
    agents = (
        "class Odd:\n    name = cli = 'odd'\n    cost = 'reported'\n    def missing(self):\n        return None\n"
        "    def command(self, task):\n        raise RuntimeError('it broke')\n    reader = command\n\n\n"
        "def pytest_gump_agents():\n    return {'odd': Odd()}\n"
    )
    project.write({"conftest.py": agents})
    project.workflow("odd", ONE.replace("claude-haiku", "odd").replace("name: one", "name: odd"))
    result = project.pytester.runpytest_inprocess("--gump-workflow=odd", "--junitxml=junit.xml", "spec.md")
    result.assert_outcomes(failed=1)
    (case,) = cases(project).values()
    assert (case.get("classname"), case.get("name")) == ("spec.md.odd", "impl")
    assert properties(case)["gump.outcome"] == "agent_error"
    text = str(case.findtext("failure"))
    assert text.startswith("impl: the step raised an error: RuntimeError: it broke")
    assert "conftest.py" in text


def test_a_step_that_is_skipped_after_a_restart_keeps_its_cost(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.workflow("restart", RESTART)
    project.answer("tests", writes={"test_new.py": "import new\n"}, cost_usd=0.1)
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.2)
    project.answer("tests", attempt=2, writes={"notes.txt": "hm\n"}, cost_usd=0.4)
    result = project.run("restart", "--junitxml=junit.xml")
    assert result.parseoutcomes() == {"failed": 1, "skipped": 1, "retried": 1}
    assert [child.tag for child in cases(project)["impl"]] == ["properties", "system-out", "skipped"]
    assert "attempt 1: claude-haiku: passed" in str(cases(project)["tests"].findtext("system-out"))
    assert assert_costs_agree(project, capsys) == Decimal("0.7")


def test_the_parts_of_a_failed_replan_keep_their_cost(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.workflow("replan", REPLAN)
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.1)
    project.plan("impl--replan::plan", "first")
    project.answer("impl--replan::item[first]", writes={"first.py": BROKEN}, cost_usd=0.2)
    result = project.run("replan", "--junitxml=junit.xml")
    assert result.parseoutcomes()["failed"] == 1
    found = cases(project)
    assert list(found) == list(project.record().steps)
    assert found["impl"].find("failure") is not None
    assert "gate_failed" in str(found["impl--replan::item[first]"].find("skipped").get("message"))  # type: ignore[union-attr]
    assert assert_costs_agree(project, capsys) == Decimal("0.31")


def test_an_interrupted_step_keeps_its_cost(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.write(
        {
            "conftest.py": "def pytest_gump_attempt_started(order):\n    if order.attempt == 2:\n"
            "        raise KeyboardInterrupt\n"
        }
    )
    project.commit()
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.1)
    result = project.run_apart("retry", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    case = cases(project)["impl"]
    assert "interrupted" in str(case.find("skipped").get("message"))  # type: ignore[union-attr]
    attempts = [line for line in str(case.findtext("system-out")).splitlines() if line.startswith("attempt ")]
    assert [line.split(", ")[0] for line in attempts] == [
        "attempt 1: claude-haiku: gate_failed",
        "attempt 2: claude-haiku: interrupted",
    ]
    assert assert_costs_agree(project, capsys) == Decimal("0.1")


def test_several_runs_have_separate_properties(project: GumpProject) -> None:
    project.write({"other.md": "# Other\n"})
    project.workflow("two", ONE.replace("name: one", "name: two"))
    project.answer("impl", writes={"new.py": "x = 1\n"}, cost_usd=0.25)
    project.run("one", "--gump-workflow=two", "other.md", "--junitxml=junit.xml").assert_outcomes(passed=4)
    records = {folder.run_id: fold(read_ledger(folder.ledger)) for folder in project.folders()}
    suite = read(project).find("testsuite")
    assert suite is not None
    nodes = {f"{record.spec}::{record.workflow}": record for record in records.values()}
    assert len(nodes) == 4
    for node, record in nodes.items():
        assert properties(suite)[f"gump.run_id[{node}]"] == record.run_id
        assert properties(suite)[f"gump.cost_usd[{node}]"] == "0.2500"
    for case in suite.findall("testcase"):
        record = records[properties(case)["gump.run_id"]]
        assert case.get("classname") == f"{record.spec}.{record.workflow}"
