"""A step that has to change files and did not: what becomes of its attempt."""

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
"""The section as cassettes of earlier versions hold it."""
SILENT = Ending("ok", reason="", message="", usage=Usage(), session=None)
ANSWERED = replace(SILENT, message="Which database do you mean?", usage=Usage(turns=1))


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor) -> Kit:
    return Kit(tmp_path, supervisor)


def judged(kit: Kit, script: str = "", **changes: Any) -> AttemptResult:
    return kit.run(script, **{"must_change": True, **changes})


def test_an_attempt_without_a_change_and_without_a_reason_fails(kit: Kit) -> None:
    result = judged(kit, gates=bash("true"))
    assert result.outcome == "no_change"
    assert result.reason == "no file was changed, and no reason was given in .gump/out/no_change.txt"
    assert "the agent's answer: Done." in result.notes
    assert [gate.status for gate in result.gates] == ["passed"]


def test_a_reason_lets_it_pass_and_is_kept_as_one_clean_line(kit: Kit) -> None:
    result = judged(kit, "write('.gump/out/no_change.txt', '\\n units.py has\\n\\x1b[31mparse_duration \\n')")
    assert result.outcome == "passed"
    assert result.no_change == "units.py has parse_duration"
    assert result.changed == ()


def test_gates_run_first_and_a_reason_does_not_replace_them(kit: Kit) -> None:
    result = judged(kit, "write('.gump/out/no_change.txt', 'done')", gates=bash("false"))
    assert result.outcome == "gate_failed"


def test_a_change_that_was_taken_back_is_none(kit: Kit) -> None:
    first = judged(kit, "write('app.py', 'x = 2\\n')", gates=bash("false"))
    second = judged(kit, "write('app.py', 'x = 1\\n')", base=first.snapshot, step_base=kit.base, attempt=2)
    assert (first.outcome, second.outcome) == ("gate_failed", "no_change")


def test_what_an_earlier_attempt_changed_counts(kit: Kit) -> None:
    first = judged(kit, "write('app.py', 'x = 2\\n')", gates=bash("false"))
    second = judged(kit, base=first.snapshot, step_base=kit.base, attempt=2)
    assert second.outcome == "passed"


def test_ignored_files_are_named_and_caches_are_not(kit: Kit) -> None:
    result = judged(kit, "write('build/app.bin', 'x'); write('run.log', 'x')")
    assert result.outcome == "no_change"
    assert result.reason.startswith("changed only ignored files: build/, run.log, and no reason was given")
    kit.commit({".gitignore": "__pycache__/\n"})
    result = judged(kit, "write('__pycache__/a.pyc', 'x')", base=kit.git("rev-parse", "HEAD"))
    assert result.reason.startswith("no file was changed")


def test_a_step_that_may_leave_all_as_it_was_still_needs_an_answer(kit: Kit) -> None:
    assert judged(kit, must_change=False).outcome == "passed"
    assert judge_no_change("", (), must_change=False, ending=SILENT).outcome == "agent_error"
    assert judge_no_change("", (), must_change=False, ending=None).outcome == "passed"
    assert judge_no_change("", (), must_change=False, ending=ANSWERED).outcome == "passed"


@pytest.mark.parametrize("ending", [SILENT, ANSWERED, None])
def test_a_step_that_must_change_needs_a_reason_whatever_its_agent_said(ending: Ending | None) -> None:
    assert judge_no_change("", (), must_change=True, ending=ending).outcome == "no_change"
    assert judge_no_change("it was there", (), must_change=True, ending=ending).outcome == "passed"


def test_gates_that_run_again_keep_the_reason_of_the_agent(kit: Kit) -> None:
    first = judged(kit, "write('.gump/out/no_change.txt', 'it was there')", gates=bash("no-such-tool"))
    assert (first.outcome, first.no_change) == ("gate_error", "it was there")
    again: dict[str, Any] = {"agent": None, "base": first.snapshot, "step_base": kit.base, "gates": bash("true")}
    assert judged(kit, no_change=first.no_change, **again).outcome == "passed"
    assert judged(kit, **again).outcome == "no_change"


def test_a_link_in_the_place_of_the_reason_is_not_followed(kit: Kit) -> None:
    result = judged(kit, "os.symlink('/etc/hostname', '.gump/out/no_change.txt')")
    assert result.outcome == "no_change"
    assert any(note.startswith("no_change.txt was not read: ") for note in result.notes)


@given(st.binary(max_size=2000))
def test_a_reason_is_one_bounded_line_without_control_characters(content: bytes) -> None:
    reason, notes = read_reason(lambda _name: content)
    assert len(reason) <= REASON_CHARS
    assert reason == " ".join(reason.split())
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in reason)
    assert notes == ()


def test_what_is_no_plain_file_is_no_reason() -> None:
    def read(_name: str) -> bytes:
        raise WorktreeError("is a folder")

    assert read_reason(read) == ("", ("no_change.txt was not read: is a folder",))


# -- what follows --------------------------------------------------------------------------------------------------


def failed(**changes: Any) -> AttemptResult:
    result = AttemptResult("impl", 1, Outcome.NO_CHANGE, "no file was changed", "haiku", Timings(0.0, 1.0), tree="t")
    return replace(result, **changes)


def test_it_counts_as_a_failing_check_of_the_branch_gate_fail() -> None:
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


def test_the_prompt_explains_it_and_the_key_of_cassettes_stays() -> None:
    told, untold = (head_sections(PromptParts("Do it.", "diff", must_change=must)) for must in (True, False))
    assert "`.gump/out/no_change.txt`" in compose(told)
    assert "no_change.txt" not in compose(untold)
    key = prompt_key(order_with(told))
    assert key == prompt_key(order_with(untold))
    assert "no_change" not in key
    section = next(part for part in key.split("\n\n## ") if part.startswith(OUTPUT))
    assert section == RECORDED


def test_the_retry_says_what_is_expected() -> None:
    head = head_sections(PromptParts("Do it.", "diff", must_change=True, failed=[failed()]))
    assert "Change the files, or give the reason why nothing has to change" in compose(head)


def test_caches_are_not_missed_wherever_they_are() -> None:
    ignored = [".pytest_cache/", "src/__pycache__/", ".coverage", "needed.py", "src/needed_cache/"]
    assert without_caches(ignored) == ["needed.py", "src/needed_cache/"]
