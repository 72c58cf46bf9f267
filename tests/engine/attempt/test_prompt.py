from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.streams.refusals import Refusals
from pytest_gump.engine.attempt.feedback import _shares, fenced
from pytest_gump.engine.attempt.prompt import (
    CONTEXT,
    CONVENTIONS,
    FAILED,
    RULES,
    PromptParts,
    compose,
    head_sections,
    prompt_key,
    replan_item_prompt,
    replan_prompt,
)
from pytest_gump.engine.checks.bounds import PROTECTED
from pytest_gump.gates.base import GateResult
from pytest_gump.order import (
    AttemptResult,
    ContextPart,
    Mode,
    Order,
    Outcome,
    PlanItem,
    Section,
    Timings,
    Verdict,
    from_wire,
    to_wire,
)

ITEM = PlanItem("Parse", "parse", "read durations", ("src/units.py", "tests/"))


def failure(**changes: object) -> AttemptResult:
    result = AttemptResult(
        step="build::impl[parse]",
        attempt=2,
        outcome=Outcome.GATE_FAILED,
        reason="test failed: 2 failed, 7 passed",
        agent="claude-haiku",
        timings=Timings(started=0.0, total_s=1.0),
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def gate(name: str, output: str, **changes: object) -> GateResult:
    result = GateResult(name, "failed", summary="2 failed", output=output, command="pytest -q", exit_code=1)
    return replace(result, **changes)  # type: ignore[arg-type]


def titles(parts: PromptParts) -> list[str]:
    return [section.title for section in head_sections(parts)]


def text(parts: PromptParts, title: str) -> str:
    return next(section.text for section in head_sections(parts) if section.title == title)


def order(head: tuple[Section, ...], context: tuple[ContextPart, ...] = (), mode: Mode = "diff") -> Order:
    return Order("r", "s", 1, mode, "a", base="b", step_base="b", run_base="b", slot="s", head=head, context=context)


def test_sections_are_in_the_documented_order() -> None:
    parts = PromptParts("Do it.", "diff", failed=[failure()], item=ITEM, blast_radius="enforce", spec="# Spec")
    assert titles(parts) == [
        "Your task",
        "What failed",
        "Files you may change",
        "What to hand over",
        "Rules",
        "Specification",
    ]


def test_absent_sections_are_left_out() -> None:
    assert titles(PromptParts("Do it.", "diff")) == ["Your task", "What to hand over", "Rules"]


def test_each_mode_names_its_output_file() -> None:
    names: dict[Mode, str] = {"plan": "plan.json", "artifact": "artifact.txt", "review": "review.json"}
    for mode, name in names.items():
        assert f"`.gump/out/{name}`" in text(PromptParts("x", mode), "What to hand over")


def test_plan_step_without_prompt_has_a_default_task_with_the_limit_of_items() -> None:
    parts = PromptParts("  ", "plan", spec="s", max_items=7)
    assert "split the work into items" in text(parts, "Your task")
    assert "at most 7" in text(parts, "What to hand over")


def test_plan_step_that_allows_it_may_deliver_an_empty_plan() -> None:
    parts = PromptParts("x", "plan", max_items=7, min_items=0)
    assert "- At most 7 items; an empty array if there is nothing to do." in text(parts, "What to hand over")


def test_json_examples_are_valid() -> None:
    import json
    import re

    for mode in ("plan", "review"):
        example = re.search(r"```json\n(.*?)```", text(PromptParts("x", mode), "What to hand over"), re.DOTALL)
        assert example is not None
        assert json.loads(example[1])


def test_blast_radius_section_lists_the_patterns_and_the_consequence() -> None:
    enforced = text(PromptParts("x", "diff", item=ITEM, blast_radius="enforce"), "Files you may change")
    assert "- `src/units.py`" in enforced
    assert "makes this attempt fail" in enforced
    assert "are reported" in text(PromptParts("x", "diff", item=ITEM, blast_radius="warn"), "Files you may change")
    assert "Files you may change" not in titles(PromptParts("x", "diff", item=ITEM, blast_radius="off"))
    assert "Files you may change" not in titles(PromptParts("x", "plan", item=ITEM, blast_radius="enforce"))


def test_blast_radius_section_leaves_out_protected_files() -> None:
    open_parts = PromptParts("x", "diff", item=ITEM, blast_radius="enforce")
    closed_parts = replace(open_parts, protected=("@tests",))
    closed = text(closed_parts, "Files you may change")
    assert "- `src/units.py`" in closed
    assert "test_units.py" not in closed
    assert "A change of a test file makes this attempt fail" in closed
    assert prompt_key(order(head_sections(closed_parts))) == prompt_key(order(head_sections(open_parts)))


def test_test_files_are_open_in_a_step_that_must_add_tests() -> None:
    item = PlanItem("i", "i", files=("src/a.py",))
    parts = PromptParts("x", "diff", item=item, blast_radius="enforce", writes_tests=True)
    assert "- `src/a.py`\n- any test file\n" in text(parts, "Files you may change")
    keys = [prompt_key(order(head_sections(one))) for one in (parts, replace(parts, writes_tests=False))]
    assert keys[0] == keys[1]


def test_plan_item_with_only_protected_files_allows_none_of_them() -> None:
    item = replace(ITEM, files=("tests/test_units.py",))
    parts = PromptParts("x", "diff", item=item, blast_radius="enforce", protected=("@tests",))
    section = text(parts, "Files you may change")
    assert "Change only files" not in section
    assert "lists no other files" in section


def test_a_step_that_writes_names_each_protected_file_but_its_key_does_not() -> None:
    sections = head_sections(PromptParts("x", "diff"))
    (section,) = [section for section in sections if section.title == RULES]
    assert all(f"`{pattern}`" in section.text for pattern in PROTECTED)
    assert section.key is not None
    assert "protected" not in section.key
    assert ".claude" not in section.key
    assert ".claude" not in text(PromptParts("x", "review"), RULES)


def test_failure_section_has_gate_command_exit_code_and_output() -> None:
    parts = PromptParts("x", "diff", failed=[failure(gates=(gate("test", "E  assert 1 == 2"),))], diff="+x = 1")
    section = text(parts, FAILED)
    assert section.startswith(
        "Attempt 2 of `build::impl[parse]` by claude-haiku did not pass: test failed: 2 failed, 7 passed"
    )
    assert "### Gate `test`: 2 failed" in section
    assert "`pytest -q` (exit code 1)" in section
    assert "E  assert 1 == 2" in section
    assert "```diff\n+x = 1\n```" in section
    assert "as that attempt left them" in section


def test_failure_section_says_that_the_tree_was_reset() -> None:
    section = text(PromptParts("x", "diff", failed=[failure()], diff="+x", tree="reset"), FAILED)
    assert "were reset" in section
    assert "What it had changed" in section


def test_earlier_failures_take_one_line_each() -> None:
    first = failure(attempt=1, reason="compile failed: SyntaxError", gates=(gate("compile", "long story"),))
    section = text(PromptParts("x", "diff", failed=[first, failure()]), FAILED)
    assert "- Attempt 1 of `build::impl[parse]` by claude-haiku: compile failed: SyntaxError" in section
    assert "long story" not in section


def test_failure_section_has_the_notes_except_about_masked_secrets_and_settings() -> None:
    """A replayed attempt has no secrets left to mask, so this note would change the prompt of a replay."""
    refusals = Refusals()
    refusals.add("Bash 'ls'", is_command=True)
    notes = ("setup ran again", "secrets were masked in stream.ndjson", refusals.note(may_run=True))
    noted = failure(notes=notes)
    section = text(PromptParts("x", "diff", failed=[noted]), FAILED)
    assert "Also noted:\n- setup ran again" in section
    assert "masked" not in section
    assert "- 1 tool call refused: Bash 'ls'" in section


def test_failure_section_has_the_guard_or_the_reviewers_comment() -> None:
    guarded = failure(outcome=Outcome.GUARD, guard="max_turns", reason="guard max_turns: turn 41 began, limit 40")
    assert "The guard `max_turns` stopped the agent." in text(PromptParts("x", "diff", failed=[guarded]), FAILED)
    reviewed = failure(outcome=Outcome.REVIEW_FAILED, verdict=Verdict(passed=False, comment="line 3 is wrong"))
    assert "### The reviewer's comment\n\nline 3 is wrong" in text(PromptParts("x", "diff", failed=[reviewed]), FAILED)


def test_same_output_of_two_gates_appears_once() -> None:
    result = failure(gates=(gate("compile", "SyntaxError: here"), gate("lint", "SyntaxError: here")))
    section = text(PromptParts("x", "diff", failed=[result]), FAILED)
    assert section.count("SyntaxError: here") == 1
    assert "The same output as of gate `compile`." in section


def test_output_of_all_gates_is_limited_and_keeps_head_and_tail() -> None:
    long = "first line\n" + "middle\n" * 2000 + "last line"
    result = failure(gates=(gate("test", long), gate("lint", "short one")))
    section = text(PromptParts("x", "diff", failed=[result], error_chars=400), FAILED)
    assert len(section) < 1500
    assert "first line" in section
    assert "last line" in section
    assert "short one" in section


def test_passed_gates_are_left_out() -> None:
    result = failure(gates=(gate("compile", "fine", status="passed"), gate("test", "bad")))
    assert "fine" not in text(PromptParts("x", "diff", failed=[result]), FAILED)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=8), st.integers(0, 5000))
def test_shares_never_exceed_size_or_total(sizes: list[int], total: int) -> None:
    shares = _shares(sizes, total)
    assert sum(shares) <= total
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    assert sum(sizes) > total or shares == sizes


@given(st.text(alphabet="`a\n"))
def test_fence_is_longer_than_any_in_the_text(content: str) -> None:
    fence = fenced(content).split("\n", 1)[0]
    assert fence not in content


def test_shell_rules_are_in_the_prompt_and_not_in_its_key() -> None:
    parts = PromptParts("x", "diff", shell_rules=("You may run:\n  - `make`", "Nothing else."))
    assert text(parts, "Rules").splitlines()[-3:] == ["- You may run:", "  - `make`", "- Nothing else."]
    keys = [prompt_key(order(head_sections(one))) for one in (parts, PromptParts("x", "diff"))]
    assert keys[0] == keys[1]


def test_conventions_and_context_are_last_with_their_sources() -> None:
    prompt = compose(
        (Section("Your task", "Do."),), conventions="use tabs\n", context=(Section("file README.md", "hello\n"),)
    )
    assert prompt == (
        f"## Your task\n\nDo.\n\n## {CONVENTIONS}\n\nuse tabs\n\n## {CONTEXT}\n\n### file README.md\n\nhello\n"
    )


def test_key_is_the_same_on_a_retry() -> None:
    first = PromptParts("Do it.", "diff", item=ITEM, blast_radius="enforce")
    again = replace(first, failed=[failure()], standing="You wrote a.py.", diff="+x")
    assert prompt_key(order(head_sections(first))) == prompt_key(order(head_sections(again)))


def test_key_depends_on_task_mode_and_context() -> None:
    base = order(head_sections(PromptParts("Do it.", "diff")))
    keys = {
        prompt_key(base),
        prompt_key(order(head_sections(PromptParts("Do that.", "diff")))),
        prompt_key(order(head_sections(PromptParts("Do it.", "plan")))),
        prompt_key(replace(base, context=(ContextPart(file="a.txt"),))),
        prompt_key(replace(base, context=(ContextPart(bash="a.txt"),))),
        prompt_key(replace(base, context=(ContextPart(workflow="a.txt", text="one"),))),
        prompt_key(replace(base, context=(ContextPart(workflow="a.txt", text="two"),))),
    }
    assert len(keys) == 6


def test_key_uses_the_declared_task_if_the_text_varies_between_runs() -> None:
    one = head_sections(PromptParts("Fix: 3 failed in 0.12s", "diff", task_key="Fix: "))
    two = head_sections(PromptParts("Fix: 3 failed in 0.34s", "diff", task_key="Fix: "))
    assert prompt_key(order(one)) == prompt_key(order(two))
    assert "0.12s" in compose(one)


def test_sections_survive_serialization() -> None:
    made = order(head_sections(PromptParts("Do: {x}", "diff", task_key="Do: ")))
    assert from_wire(Order, to_wire(made)) == made


def test_replan_prompts_contain_the_original_task_and_the_item() -> None:
    assert "read durations" in replan_prompt("Build {it}", ITEM)
    assert "Build {it}" in replan_prompt("Build {it}", None)
    section = replan_item_prompt("Build it", ITEM)
    assert "### Item: Parse" in section
    assert "src/units.py, tests/" in section
