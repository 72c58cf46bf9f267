from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from pytest_gump.agents.cassettes.neutral import conversation, usage_event
from pytest_gump.agents.usage import Tokens
from pytest_gump.engine.reporting.report_schema import json_schema

if TYPE_CHECKING:
    from .conftest import Gump

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "report-json.md"


def test_totals_are_the_sum_of_all_attempts(passed: Gump) -> None:
    data = json.loads(passed.good("report", "--json"))
    attempts = [one for step in data["steps"] for one in step["attempts"]]
    assert data["schema"] == 1
    assert data["totals"]["attempts"] == len(attempts) == 3
    assert data["totals"]["cost"] == {"usd": 0.75, "provenance": "partly_unknown", "unknown_attempts": 1}
    assert data["totals"]["turns"] == sum(one["turns"] for one in attempts)
    for name in ("input", "cache_read", "cache_write", "output", "reasoning", "total"):
        assert data["totals"]["tokens"][name] == sum(one["tokens"][name] for one in attempts)
    assert sum(one["attempts"] for one in data["agents"]) == 3
    assert {(one["tools_failed"], one["tools_repeated"]) for one in attempts} == {(0, 0)}
    assert all(one["first_write_s"] is not None and one["first_write_s"] >= 0 for one in attempts)


def test_every_retry_has_a_reason(passed: Gump) -> None:
    data = json.loads(passed.good("report", "--json"))
    first, second = data["steps"][0]["attempts"]
    assert first["because"] is None
    assert second["entry"] == "escalate"
    assert second["because"].startswith("attempt 1: touched: *.py failed: no changed file matches *.py")
    assert data["totals"]["retries"] == 1


def test_the_table_shows_each_attempt_and_the_total(passed: Gump) -> None:
    lines = [re.split(r"\s{2,}", line.strip()) for line in passed.good("report").splitlines()]
    rows = {tuple(line[:3]): line[3:] for line in lines}
    assert rows["first", "1", "claude-haiku"][:3] == ["gate_failed", "$0.25", "3"]
    assert rows["2", "claude-sonnet", "passed"][0] == "$0.50"
    assert rows["second", "1", "claude-haiku"][:2] == ["passed", "$?"]
    assert rows["total", "3", "$0.75 + $?"][0] == "7"
    assert ", 1 escalation, budget $1.00, replayed from a cassette" in passed.good("report")
    assert (
        "  $? unknown: the agent reported neither tokens nor cost; not included in sums"
        in passed.good("report").splitlines()
    )
    assert "estimated" not in passed.good("report")


HELD = """\
name: held
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    guard: {max_turns: 3}
    gate: ["touched: *.py"]
    on_failure: {retry: 4}
"""


def stream_with_context(model: str | None, context_tokens: int) -> list[dict[str, Any]]:
    usage = usage_event(Tokens(input=9, cache_read=context_tokens - 9), cost_usd=0.05)
    started, *others = conversation(model=model)
    return [started, {**usage, "context_tokens": context_tokens}, *others]


def test_the_largest_context_is_shown_with_the_window_of_its_model(gump: Gump) -> None:
    project = gump.project
    project.answer("first", stream=stream_with_context("claude-haiku-4-5", 154_321))
    project.answer("first", attempt=2, stream=stream_with_context("anthropic/claude-haiku-4-5", 1920))
    project.answer("first", attempt=3, writes={"first.py": ""}, stream=stream_with_context("claude-haiku-4-5", 300_000))
    project.answer("second", writes={"second.py": ""}, stream=stream_with_context("nobodys", 90_000))
    project.run("pair").assert_outcomes(passed=2)
    table = gump.good("report").partition("longest context\n")[2].partition("\n\n")[0]
    assert [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()] == [
        ["step", "no", "model", "tokens"],
        ["first", "1", "claude-haiku-4-5", "154k of 200k (77%)"],
        ["2", "anthropic/claude-haiku-4-5", "1920 of 200k (1%)"],
        ["3", "claude-haiku-4-5", "300k"],
        ["second", "1", "nobodys", "90k"],
    ]
    assert json.loads(gump.good("report", "--json"))["totals"]["context_tokens"] == 300_000


def test_shown_costs_add_up_to_their_totals(gump: Gump) -> None:
    paid = {1: 0.00944, 2: 0.00004, 3: 1.00314}
    for attempt, cost_usd in paid.items():
        usage = usage_event(Tokens(input=900, output=20), cost_usd=cost_usd)
        started, *others = conversation()
        writes = {"first.py": ""} if attempt == 3 else {}
        gump.project.answer("first", attempt=attempt, writes=writes, stream=[started, usage, *others])
    gump.project.answer("second", writes={"second.py": ""})
    result = gump.project.run("pair", "--gump-max-budget=5", "--junitxml=junit.xml")
    assert re.findall(r"\$\d\S*", result.stdout.str()) == ["$0.0094", "$0.0001", "$1.0031", "$0.01", "$1.0226,"]
    table = gump.good("report").partition("attempts\n")[2].partition("\n\n")[0]
    assert re.findall(r"\$\S+", table) == ["$0.0094", "$0.0001", "$1.0031", "$0.01", "$1.0226"]
    assert gump.good("report", "--last", "1").splitlines()[1] == "$1.0226, $1.0226 per run"
    assert json.loads(gump.good("report", "--json"))["totals"]["cost"]["usd"] == 1.0226
    junit = (gump.project.path / "junit.xml").read_text(encoding="utf-8")
    assert re.findall(r'gump.cost_usd" value="(.*?)"', junit) == ["1.0226", "1.0126", "0.0100"]


def test_kinds_of_turns_and_stalls_are_shown(gump: Gump) -> None:
    call, failed = {"type": "tool_call", "tool": "Bash", "command": "make"}, {"type": "tool_result", "is_error": True}
    turn: dict[str, Any] = {"type": "turn"}
    stuck: list[dict[str, Any]] = [turn, call, failed]
    started, *others = conversation(writes=["first.py"])
    gump.project.answer("first", writes={"first.py": ""}, stream=[started, turn, *stuck * 3, *others])
    gump.project.answer("second", writes={"second.py": ""})
    gump.project.run("pair").assert_outcomes(passed=2)
    table = gump.good("report").partition("turns and tool calls\n")[2].partition("\n\n")[0]
    head, first, *_ = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    row = dict(zip(head, first, strict=True))
    assert [row[name] for name in ("turns", "write", "command", "text")] == ["6", "1", "3", "2"]
    assert [row[name] for name in ("failed", "repeated", "loops")] == ["3", "2", "1"]
    assert row["first write"].endswith("(turn 5)")
    data = json.loads(gump.good("report", "--json"))
    assert data["steps"][0]["attempts"][0]["turn_kinds"] == {"write": 1, "command": 3, "other": 0, "text": 2}
    assert data["totals"]["turn_kinds"]["command"] == 3
    assert [data["totals"][name] for name in ("tools_failed", "tools_repeated", "failure_loops")] == [3, 2, 1]
    total = dict(zip(head, re.split(r"\s{2,}", table.splitlines()[-1].strip()), strict=False))
    assert (total["step"], total["no"]) == ("total", str(data["totals"]["turns"]))
    summary = json.loads(gump.good("report", "--last", "1", "--json"))["steps"][0]
    assert (summary["step"], summary["turns"], summary["tools_failed"]) == ("first", 6, 3)
    assert summary["turn_kinds"] == {"write": 1, "command": 3, "other": 0, "text": 2}
    assert summary["first_write_s"] is not None
    table = gump.good("report", "--last", "1").partition("turns and tool calls\n")[2].partition("\n\n")[0]
    assert re.split(r"\s{2,}", table.splitlines()[1].strip())[:9] == [
        *("first", "claude-haiku", "6", "1", "3", "2", "3", "2", "1")
    ]


def test_no_context_is_shown_if_no_agent_reported_one(passed: Gump) -> None:
    assert "context" not in passed.good("report")


def test_the_report_of_a_failed_run_names_the_failure(failed: Gump) -> None:
    output = failed.good("report")
    assert output.startswith(f"run {failed.project.folders()[0].run_id} failed")
    assert "second failed: gate_failed: touched: *.py failed" in output


def test_a_step_that_did_not_run_is_listed_as_skipped(gump: Gump) -> None:
    gump.project.answer("first", writes={"notes.txt": "hm\n"})
    gump.project.answer("first", attempt=2, writes={"notes.txt": "hm hm\n"})
    gump.project.answer("first", attempt=3, writes={"notes.txt": "hm hm hm\n"})
    gump.project.run("pair")
    assert re.search(r"^second +skipped$", gump.good("report"), re.MULTILINE)


def test_the_docs_name_every_field(passed: Gump) -> None:
    page = PAGE.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert field_names(json.loads(passed.good("report", "--json"))) - documented == set()


def field_names(data: Any) -> set[str]:
    if isinstance(data, list):
        return {name for one in data for name in field_names(one)}
    if not isinstance(data, dict):
        return set()
    free = {"inputs", "versions"}  # the user's names and ours
    return {name for key, value in data.items() for name in {key} | (set() if key in free else field_names(value))}


@pytest.mark.parametrize("run", ["passed", "failed"])
def test_the_json_matches_its_schema(run: str, request: pytest.FixtureRequest) -> None:
    gump: Gump = request.getfixturevalue(run)
    data = json.loads(gump.good("report", "--json"))
    assert list(Draft202012Validator(json_schema(strict=True)).iter_errors(data)) == []


def test_a_run_is_found_by_the_end_of_its_id(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    assert passed.good("report", run_id[-4:]).startswith(f"run {run_id} passed")


@pytest.mark.parametrize("command", ["report", "apply", "discard"])
def test_an_unknown_run_is_a_usage_error(passed: Gump, command: str) -> None:
    errors = passed.bad(command, "nosuch", code=2)
    assert errors.startswith("gump: error: no run 'nosuch' in ")
    assert passed.project.folders()[0].run_id in errors


def test_without_runs_a_hint_shows_how_to_start_one(gump: Gump) -> None:
    assert "hint: start one: pytest --gump-workflow=tdd spec.md" in gump.bad("report")


def test_an_invalid_ledger_is_an_error_without_a_traceback(passed: Gump) -> None:
    passed.project.folders()[0].ledger.write_text('{"event":"decided","at":1,"number":7}\n')
    assert "gump: error: cannot read the ledger" in passed.bad("report")


def test_the_newest_runs_are_summed_up(passed: Gump) -> None:
    passed.project.run("pair").assert_outcomes(passed=2)
    data = json.loads(passed.good("report", "--last", "2", "--json"))
    assert (data["runs"], data["passed"], data["attempts"], data["retries"]) == (2, 2, 6, 2)
    assert data["cost"] == {"usd": 1.5, "average_usd": 0.75, "estimated": False, "unknown_attempts": 2}
    assert [(one["step"], one["agent"], one["passed"], one["cost_usd"]) for one in data["steps"]] == [
        ("first", "claude-haiku", 0, 0.5),
        ("first", "claude-sonnet", 2, 1.0),
        ("second", "claude-haiku", 2, 0.0),
    ]
    ids = [folder.run_id for folder in passed.project.folders()]
    assert [(one["run"], one["status"], one["cost"]["usd"], one["retries"]) for one in data["trend"]] == [
        (run_id, "passed", 0.75, 1) for run_id in sorted(ids)
    ]
    output = passed.good("report", "--last", "2")
    assert output.startswith("2 runs of pair: 2 passed\n$1.50 + 2 attempts of unknown cost, $0.75 per run\n")
    trend = output.splitlines()[-2:]
    assert [line.split()[0] for line in trend] == sorted(ids)
    assert all(line.endswith("#" * 20) and "$0.75 + $?" in line for line in trend)


def test_guards_and_turns_of_a_run_are_summed_up(gump: Gump) -> None:
    gump.project.workflow("held", HELD)
    gump.project.answer("impl", writes={"a.txt": "a\n"}, turns=9, exit_code=None)
    gump.project.answer("impl", attempt=2, writes={"a.txt": "a\n"}, turns=9, exit_code=None)
    gump.project.answer("impl", attempt=3, writes={"a.py": "a = 1\n"}, turns=2)
    gump.project.run("held").assert_outcomes(passed=1)
    totals = json.loads(gump.good("report", "--json"))["totals"]
    assert totals["guards"] == {"max_turns": 2}
    assert totals["turns_per_attempt"]["least"] == 2
    assert totals["turns_per_attempt"]["most"] >= totals["turns_per_attempt"]["median"] > 2
    assert ", 2 stops by max_turns, " in gump.good("report")


def test_last_without_runs_has_the_same_error_as_report(gump: Gump) -> None:
    error = gump.bad("report", "--last", "2")
    assert error == gump.bad("report")
    assert "no runs in" in error


def test_last_cannot_be_combined_with_a_run(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    assert "--last cannot be combined with RUN" in passed.bad("report", run_id, "--last", "2", code=2)


def test_an_invalid_result_is_an_error_without_a_traceback(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    ledger.write_text(ledger.read_text().replace('"outcome":"passed"', '"outcome":"fine"'))
    assert "cannot read the ledger" in passed.bad("report")
    ledger.write_text(ledger.read_text().replace('"input":', '"inptu":'))
    assert "unreadable" in passed.good("status")
    assert "the newest 1 run cannot be read" in passed.bad("report", "--last", "3")
