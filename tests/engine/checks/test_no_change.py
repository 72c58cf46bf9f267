"""Attempts of steps that must change files and changed none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Ending
from pytest_gump.agents.usage import Usage
from pytest_gump.engine.attempt.judge import judge_gates, judge_no_change
from pytest_gump.engine.attempt.prompt import OUTPUT, PromptParts, compose, head_sections, prompt_key
from pytest_gump.engine.checks.no_change import REASON_CHARS, read_reason, without_caches
from pytest_gump.engine.schedule.failure_handling import failure_of
from pytest_gump.engine.schedule.retry import no_progress
from pytest_gump.errors import WorktreeError
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Order, Outcome, Section, Timings

from tests.engine.attempt_kit import Kit, bash

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.processes.process import Supervisor

RECORDED = """\
What to hand over

Change the files of this project. What counts is the state of the files when you end: it is compared with the state
before, and checked. Nothing has to be written to `.gump/out`."""
"""The section in cassettes of earlier versions."""
SILENT = Ending("ok", reason="", message="", usage=Usage(), session=None)
ANSWERED = replace(SILENT, message="Which database do you mean?", usage=Usage(turns=1))


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor) -> Kit:
    return Kit(tmp_path, supervisor)


def run_step(kit: Kit, script: str = "", **changes: Any) -> AttemptResult:
    return kit.run(script, **{"must_change": True, **changes})


def test_attempt_without_a_change_and_without_a_reason_fails(kit: Kit) -> None:
    result = run_step(kit, gates=bash("true"))
    assert result.outcome == "no_change"
    assert result.reason == "no file was changed, and no reason was given in .gump/out/no_change.txt"
    assert "the agent's answer: Done." in result.notes
    assert [gate.status for gate in result.gates] == ["passed"]


def test_attempt_with_a_reason_passes_and_the_reason_is_stored_as_one_line(kit: Kit) -> None:
    result = run_step(kit, "write('.gump/out/no_change.txt', '\\n units.py has\\n\\x1b[31mparse_duration \\n')")
    assert result.outcome == "passed"
    assert result.no_change == "units.py has parse_duration"
    assert result.changed == ()


def test_failed_gate_takes_precedence_over_a_reason(kit: Kit) -> None:
    result = run_step(kit, "write('.gump/out/no_change.txt', 'done')", gates=bash("false"))
    assert result.outcome == "gate_failed"


def test_reverted_change_is_no_change(kit: Kit) -> None:
    first = run_step(kit, "write('app.py', 'x = 2\\n')", gates=bash("false"))
    second = run_step(kit, "write('app.py', 'x = 1\\n')", base=first.snapshot, step_base=kit.base, attempt=2)
    assert (first.outcome, second.outcome) == ("gate_failed", "no_change")


def test_change_of_an_earlier_attempt_counts(kit: Kit) -> None:
    first = run_step(kit, "write('app.py', 'x = 2\\n')", gates=bash("false"))
    second = run_step(kit, base=first.snapshot, step_base=kit.base, attempt=2)
    assert second.outcome == "passed"


def test_reason_names_changed_ignored_files_except_caches(kit: Kit) -> None:
    result = run_step(kit, "write('build/app.bin', 'x'); write('run.log', 'x')")
    assert result.outcome == "no_change"
    assert result.reason.startswith("changed only ignored files: build/, run.log, and no reason was given")
    kit.commit({".gitignore": "__pycache__/\n"})
    result = run_step(kit, "write('__pycache__/a.pyc', 'x')", base=kit.git("rev-parse", "HEAD"))
    assert result.reason.startswith("no file was changed")


def test_step_that_may_change_nothing_needs_an_answer_from_its_agent(kit: Kit) -> None:
    assert run_step(kit, must_change=False).outcome == "passed"
    assert judge_no_change("", (), must_change=False, ending=SILENT).outcome == "agent_error"
    assert judge_no_change("", (), must_change=False, ending=None).outcome == "passed"
    assert judge_no_change("", (), must_change=False, ending=ANSWERED).outcome == "passed"


@pytest.mark.parametrize("ending", [SILENT, ANSWERED, None])
def test_step_that_must_change_files_needs_a_reason_in_addition_to_an_answer(ending: Ending | None) -> None:
    assert judge_no_change("", (), must_change=True, ending=ending).outcome == "no_change"
    assert judge_no_change("it was there", (), must_change=True, ending=ending).outcome == "passed"


def test_reason_is_kept_if_only_the_gates_run_again(kit: Kit) -> None:
    first = run_step(kit, "write('.gump/out/no_change.txt', 'it was there')", gates=bash("no-such-tool"))
    assert (first.outcome, first.no_change) == ("gate_error", "it was there")
    again: dict[str, Any] = {"agent": None, "base": first.snapshot, "step_base": kit.base, "gates": bash("true")}
    assert run_step(kit, agent_part=first, **again).outcome == "passed"
    assert run_step(kit, **again).outcome == "no_change"


def test_reason_file_that_is_a_link_is_not_followed(kit: Kit) -> None:
    result = run_step(kit, "os.symlink('/etc/hostname', '.gump/out/no_change.txt')")
    assert result.outcome == "no_change"
    assert any(note.startswith("no_change.txt was not read: ") for note in result.notes)


@given(st.binary(max_size=2000))
def test_reason_is_one_short_line_without_control_characters(content: bytes) -> None:
    reason, notes = read_reason(lambda _name: content)
    assert len(reason) <= REASON_CHARS
    assert reason == " ".join(reason.split())
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in reason)
    assert notes == ()


def test_reason_is_read_only_from_a_regular_file() -> None:
    def read(_name: str) -> bytes:
        raise WorktreeError("is a folder")

    assert read_reason(read) == ("", ("no_change.txt was not read: is a folder",))


# -- as a failure --------------------------------------------------------------------------------------------------


def failed(**changes: Any) -> AttemptResult:
    result = AttemptResult("impl", 1, Outcome.NO_CHANGE, "no file was changed", "haiku", Timings(0.0, 1.0), tree="t")
    return replace(result, **changes)


def test_missing_change_is_a_failed_check_of_the_branch_gate_fail() -> None:
    passing = GateResult("test", "passed")
    first, second = failure_of(failed(gates=(passing,))), failure_of(failed(attempt=2, gates=(passing,)))
    assert first.source == "gate_fail"
    assert first.failing == ("no_change",)
    assert first.gate is None
    assert no_progress(first, second)
    other = failure_of(failed(outcome=judge_gates([GateResult("test", "failed")]).outcome))
    assert not no_progress(first, other)


# -- the prompt ----------------------------------------------------------------------------------------------------


def order_with(head: tuple[Section, ...]) -> Order:
    return Order("run", "impl", 1, "diff", "haiku", "b", "b", "b", "w1", head=head)


def test_prompt_explains_the_rule_and_the_prompt_key_does_not_change() -> None:
    with_rule, without_rule = (head_sections(PromptParts("Do it.", "diff", must_change=must)) for must in (True, False))
    assert "`.gump/out/no_change.txt`" in compose(with_rule)
    assert "no_change.txt" not in compose(without_rule)
    key = prompt_key(order_with(with_rule))
    assert key == prompt_key(order_with(without_rule))
    assert "no_change" not in key
    section = next(part for part in key.split("\n\n## ") if part.startswith(OUTPUT))
    assert section == RECORDED


def test_prompt_of_a_retry_says_what_is_expected() -> None:
    head = head_sections(PromptParts("Do it.", "diff", must_change=True, failed=[failed()]))
    assert "Change the files, or give the reason why nothing has to change" in compose(head)


def test_caches_are_left_out_in_every_folder() -> None:
    ignored = [".pytest_cache/", ".pytest_cache/v/cache/lastfailed", "src/__pycache__/", ".coverage"]
    ignored += ["needed.py", "src/needed_cache/"]
    assert without_caches(ignored) == ["needed.py", "src/needed_cache/"]
