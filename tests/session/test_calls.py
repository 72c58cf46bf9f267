"""Workflows that call other workflows, in whole sessions."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest

from tests.kits.commands import gump
from tests.workflow.installed import install

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

REVIEW: Final = """\
name: review
inputs:
  strictness: {type: choice, choices: [low, high], default: low, description: How strict}
  change: {}
  count: {type: integer, default: 1}
steps:
  - name: look
    agent: claude-haiku
    output: artifact
    prompt: "Look {strictness} {count}: {change}"
  - name: correctness
    agent: claude-haiku
    output: review
    prompt: "Judge {strictness}: {steps.look.output}"
"""
MAIN: Final = """\
name: main
steps:
  - {name: look, agent: claude-haiku, output: artifact, prompt: Outside.}
  - name: change
    agent: claude-haiku
    prompt: Change it.
    gate: [compile]
  - name: review
    workflow: review
    with: {strictness: high, change: "{steps.look.output} {{x}}"}
  - name: end
    agent: claude-haiku
    output: artifact
    prompt: "End: {steps.review.output} / {steps.review::look.output}"
"""


@pytest.fixture
def called(project: GumpProject) -> GumpProject:
    """Return a project with a workflow that calls `review`, and answers with which it passes."""
    project.workflow("review", REVIEW)
    project.workflow("main", MAIN)
    project.answer("look", out={"artifact.txt": "what is outside"})
    project.answer("change", writes={"new.py": "ok = 1\n"})
    project.answer("review::look", out={"artifact.txt": "what is inside"})
    project.review("review::correctness", passes=True, comment="good")
    project.answer("end", out={"artifact.txt": "the end"})
    return project


def test_a_called_workflow_sees_its_inputs_and_its_own_steps(called: GumpProject) -> None:
    result = called.run("main", "-o", "junit_family=xunit1", "--junitxml=out.xml")
    result.assert_outcomes(passed=5)
    assert [attempt.step for attempt in called.record().attempts] == [
        "look", "change", "review::look", "review::correctness", "end",
    ]  # fmt: skip
    assert "Look high 1: what is outside {x}" in called.prompt("review::look")
    assert "Judge high: what is inside" in called.prompt("review::correctness")
    assert '"comment": "good"' in called.prompt("end")
    assert "/ what is inside" in called.prompt("end")
    cases = ET.parse(called.path / "out.xml").iter("testcase")
    assert [(case.get("name"), case.get("file"), case.get("line")) for case in cases][2:4] == [
        ("look", ".gump/workflows/review.yaml", "6"),
        ("correctness", ".gump/workflows/review.yaml", "10"),
    ]
    assert called.record().total.cost_usd == pytest.approx(0.05)


ITEMS: Final = """\
name: items
steps:
  - {name: decompose, agent: claude-opus, output: plan}
  - name: each
    foreach: decompose
    workflow: ./parts/fix.yaml
    with: {what: "{item.name}"}
    gate: [compile]
    on_failure: {retry: 2}
"""
FIX: Final = """\
name: fix
inputs: {what: {required: true}}
steps:
  - {name: impl, agent: claude-haiku, prompt: "Fix {what}: {item.description}", gate: [compile]}
"""


def test_a_call_runs_once_for_each_plan_item_and_again_after_a_failure(project: GumpProject) -> None:
    project.workflow("items", ITEMS)
    project.workflow("parts/fix", FIX)
    project.plan("decompose", "alpha", "beta")
    project.answer("each::impl[alpha]", writes={"alpha.py": "def broken(:\n"})
    project.answer("each::impl[alpha]", attempt=2, writes={"alpha.py": "ok = 1\n"})
    project.answer("each::impl[beta]", writes={"beta.py": "ok = 1\n"})
    result = project.run("items")
    assert [(attempt.step, attempt.attempt) for attempt in project.record().attempts if attempt.agent] == [
        ("decompose", 1), ("each::impl[alpha]", 1), ("each::impl[alpha]", 2), ("each::impl[beta]", 1),
    ]  # fmt: skip
    assert result.ret == pytest.ExitCode.OK
    assert "Fix beta: do beta" in project.prompt("each::impl[beta]")


NUMBER: Final = """\
name: number
steps:
  - {name: count, agent: claude-haiku, output: artifact, prompt: How many?}
  - name: review
    workflow: review
    with: {count: "{steps.count.output}"}
"""


def test_an_input_that_is_wrong_when_it_is_filled_costs_nothing(project: GumpProject) -> None:
    project.workflow("review", REVIEW)
    project.workflow("number", NUMBER)
    project.answer("count", out={"artifact.txt": "many"})
    result = project.run("number")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*review::look: *number.yaml:6: the call review cannot start: input 'count' must be a whole number*'many'*"]
    )
    attempts = project.record().attempts
    assert [(one.step, one.result and one.result.outcome) for one in attempts][1:] == [("review::look", "gate_error")]
    assert project.record().total.cost_usd == pytest.approx(0.01)


LIMITED: Final = """\
name: limited
max_budget: 5.00
blast_radius: off
setup: ["touch outer.log"]
steps:
  - {name: call, workflow: called}
"""
CALLED: Final = """\
name: called
max_budget: 0.015
setup: ["test -f outer.log"]
steps:
  - {name: one, agent: claude-haiku, output: artifact, prompt: One.}
  - {name: two, agent: claude-haiku, output: artifact, prompt: Two.}
  - {name: three, agent: claude-haiku, output: artifact, prompt: Three.}
"""


def test_the_limits_of_a_called_workflow_hold_for_its_steps(project: GumpProject) -> None:
    project.write({".gitignore": "*.log\n__pycache__/\n.pytest_cache/\n"})
    project.workflow("called", CALLED)
    project.workflow("limited", LIMITED)
    for step in ("one", "two", "three"):
        project.answer(f"call::{step}", out={"artifact.txt": step}, cost_usd=0.01)
    project.run("limited").assert_outcomes(passed=1, failed=1, skipped=1)
    assert [one.result.outcome for one in project.record().attempts if one.result] == ["passed", "budget"]


def test_a_session_is_not_continued_across_a_call(project: GumpProject) -> None:
    step = '{name: NAME, agent: claude-haiku, output: artifact, prompt: "Go.", session: reuse}'
    inner = "\n".join(f"  - {step.replace('NAME', name)}" for name in ("one", "two"))
    project.workflow("inner", f"name: inner\nsteps:\n{inner}\n")
    outer = f"  - {step.replace('NAME', 'first')}\n  - {{name: call, workflow: inner}}\n  - {step.replace('NAME', 'last')}\n"
    project.workflow("outer", f"name: outer\nsteps:\n{outer}")
    for name in ("first", "call::one", "call::two", "last"):
        project.answer(name, out={"artifact.txt": "x"}, session_id=f"s-{name}")
    project.run("outer").assert_outcomes(passed=4)
    started = {
        event["step"]: event["session_resumed"] for event in project.ledger() if event["event"] == "attempt_started"
    }
    assert started == {"first": False, "call::one": False, "call::two": True, "last": True}


def test_an_edited_called_workflow_is_run_again_on_resume(called: GumpProject) -> None:
    called.review("review::correctness", passes=False, comment="no")
    assert called.run("main").ret == pytest.ExitCode.TESTS_FAILED
    called.workflow("review", REVIEW.replace("Look {strictness}", "Look well {strictness}"))
    called.answer("review::look", attempt=2, out={"artifact.txt": "more"})
    called.review("review::correctness", attempt=2, passes=True, comment="yes")
    result = called.pytester.runpytest("--gump-resume")
    result.stdout.fnmatch_lines(
        ["* look * reused", "* review::look * re-run: prompt changed", "* review::correctness * re-run: it follows*"]
    )
    assert called.record().status == "passed"
    copies = [(called.folders()[0].path / f"called-review{version}.yaml").read_text() for version in (".1", "")]
    assert ["Look well" in copy for copy in copies] == [False, True]


def test_an_input_of_the_command_line_is_checked(project: GumpProject) -> None:
    project.workflow("review", REVIEW)
    result = project.run("review", "--gump-input=count=many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gump-input: input 'count' must be a whole number, not 'many'"])


SUMMARY: Final = """\
name: summary
inputs: {topic: {required: true}, change: {}}
steps:
  - {name: read, agent: claude-haiku, output: artifact, prompt: "Read {topic}."}
  - {name: tell, agent: claude-haiku, output: artifact, prompt: "Tell {steps.read.output} of {topic}\\n{change}"}
"""
INFORMED: Final = """\
name: informed
steps:
  - {name: first, agent: claude-haiku, prompt: Begin., gate: [compile]}
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    context:
      - workflow: summary
        with: {topic: the layers, change: "{diff}"}
      - file: app.py
    gate: [compile]
    on_failure: {retry: 2}
  - name: check
    agent: claude-opus
    output: review
    prompt: Is it right?
    on_failure: {retry: 2, restart_from: impl}
"""
CONTEXT: Final = "impl--context-summary"


def test_output_of_a_context_workflow_is_in_every_prompt_of_one_entry_of_the_step(project: GumpProject) -> None:
    project.workflow("summary", SUMMARY)
    project.workflow("informed", INFORMED)
    project.answer("first", writes={"first.py": "x = 1\n"})
    for entry in (1, 2):
        project.answer(f"{CONTEXT}::read", attempt=entry, out={"artifact.txt": f"facts {entry}"})
        project.answer(f"{CONTEXT}::tell", attempt=entry, out={"artifact.txt": f"three layers, told {entry}"})
    for attempt, text in enumerate(("def broken(:\n", "x = 1\n", "x = 2\n"), 1):
        project.answer("impl", attempt=attempt, writes={"new.py": text})
    project.review("check", passes=False, comment="Too short.")
    project.review("check", passes=True, attempt=2)
    assert project.run("informed").ret == pytest.ExitCode.OK
    assert [f"{attempt.step} {attempt.attempt}" for attempt in project.record().attempts] == [
        "first 1", f"{CONTEXT}::read 1", f"{CONTEXT}::tell 1", "impl 1", "impl 2", "check 1",
        f"{CONTEXT}::read 2", f"{CONTEXT}::tell 2", "impl 3", "check 2",
    ]  # fmt: skip
    told = project.prompt(f"{CONTEXT}::tell")
    assert "Tell facts 1 of the layers\ndiff --git a/first.py b/first.py" in told
    section = "### Output of workflow `summary`\n\n```\nthree layers, told {}\n```\n\n### File `app.py`"
    assert [section.format(1) in project.prompt("impl", attempt) for attempt in (1, 2, 3)] == [True, True, False]
    assert section.format(2) in project.prompt("impl", 3)
    assert "Too short." in project.prompt("impl", 3)
    assert "Too short." not in project.prompt(f"{CONTEXT}::read", 2)


PACKAGED: Final = """\
name: packaged
steps:
  - {name: look, agent: claude-haiku, output: artifact, prompt: Outside.}
  - name: review
    workflow: acme/review
    with: {change: "{steps.look.output}"}
"""


def test_a_changed_package_is_a_reason_to_run_its_steps_again(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project.path.parent / f"{project.path.name}-site"
    monkeypatch.syspath_prepend(str(site))
    install(site, "acme", "1.0", review=REVIEW)
    project.workflow("packaged", PACKAGED)
    project.answer("look", out={"artifact.txt": "what is outside"})
    project.answer("review::look", out={"artifact.txt": "what is inside"})
    project.review("review::correctness", passes=False, comment="no")
    assert project.run("packaged").ret == pytest.ExitCode.TESTS_FAILED
    (package,) = project.folders()[0].read_header()["packages"]
    assert (package["name"], package["version"]) == ("acme", "1.0")
    shutil.rmtree(site)
    install(site, "acme", "1.1", review=REVIEW)
    project.answer("review::look", attempt=2, out={"artifact.txt": "what is inside"})
    project.review("review::correctness", attempt=2, passes=True)
    result = project.pytester.runpytest("--gump-resume")
    result.stdout.fnmatch_lines(
        [
            "* look * reused",
            "* review::look * re-run: package acme (1.0 to 1.1) changed",
            "* review::correctness * re-run: it follows review::look",
        ]
    )
    assert project.record().status == "passed"


def test_a_workflow_of_a_package_is_run_and_resumed_by_its_name(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project.path.parent / f"{project.path.name}-site"
    monkeypatch.syspath_prepend(str(site))
    install(site, "acme", "1.0", fix=FIX.replace("{required: true}", "{default: it}").replace("{item.description}", ""))
    project.answer("impl", writes={"it.py": "def broken(:\n"})
    assert project.run("acme/fix").ret == pytest.ExitCode.TESTS_FAILED
    project.answer("impl", attempt=2, writes={"it.py": "ok = 1\n"})
    assert project.pytester.runpytest("--gump-resume").ret == pytest.ExitCode.OK
    listed = gump("playbook", "list").stdout
    assert [line.split()[1:4] for line in listed.splitlines() if line.startswith("acme/fix")] == [
        ["package", "acme", "1.0"]
    ]
    assert gump("playbook", "show", "acme/fix").stdout.startswith("name: fix\n")
    install(site, "acme", "3.0", distribution="other", folder="other_flows", fix=FIX)
    refused = gump("playbook", "list")
    assert refused.returncode != 0
    assert "two installed packages have the name 'acme': acme-workflows 1.0 and other 3.0" in refused.stderr


def test_a_part_of_a_call_can_be_selected_and_a_run_begins_at_one_of_its_steps(called: GumpProject) -> None:
    selected = called.run("main", "--deselect=spec.md::main::end", "--deselect=spec.md::main::review::correctness")
    selected.assert_outcomes(passed=3, deselected=2)
    assert called.run("main").ret == pytest.ExitCode.OK
    result = called.pytester.runpytest("--gump-from=review::correctness")
    result.stdout.fnmatch_lines(["* review::look * reused", "* review::correctness * re-run: requested"])
    assert called.record().status == "passed"


def test_resumed_run_reuses_the_steps_of_a_context_workflow_that_have_not_changed(project: GumpProject) -> None:
    project.workflow("summary", SUMMARY)
    project.workflow("informed", INFORMED)
    project.answer("first", writes={"first.py": "x = 1\n"})
    for attempt in (1, 2):
        project.answer(f"{CONTEXT}::read", attempt=attempt, out={"artifact.txt": f"facts {attempt}"})
        project.answer(f"{CONTEXT}::tell", attempt=attempt, out={"artifact.txt": f"told {attempt}"})
    for attempt, text in enumerate(("def broken(:\n", "def broken(:\n# 2\n", "x = 3\n", "x = 4\n"), 1):
        project.answer("impl", attempt=attempt, writes={"new.py": text})
        project.review("check", passes=True, attempt=attempt)
    assert project.run("informed").ret == pytest.ExitCode.TESTS_FAILED
    project.workflow("summary", SUMMARY.replace("Tell {steps", "Say {steps"))
    result = project.pytester.runpytest("--gump-resume")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"* {CONTEXT}::read *reused", f"* {CONTEXT}::tell *re-run: prompt changed*"])
    rerun = [f"{attempt.step} {attempt.attempt}" for attempt in project.record().attempts[5:]]
    assert rerun == [f"{CONTEXT}::tell 2", "impl 3", "check 1"]
    assert "told 2" in project.prompt("impl", 3)


def test_calls_of_items_in_parallel_are_merged(project: GumpProject) -> None:
    project.workflow("items", ITEMS.replace("workflow:", "parallel: true\n    workflow:"))
    project.workflow("parts/fix", FIX)
    project.plan("decompose", "alpha", "beta")
    for item in ("alpha", "beta"):
        project.answer(f"each::impl[{item}]", writes={f"{item}.py": "ok = 1\n"})
    assert project.run("items").ret == pytest.ExitCode.OK
    assert [attempt.step for attempt in project.record().attempts] == [
        "decompose", "each::impl[alpha]", "each::impl[beta]", "each::merge[alpha]", "each::merge[beta]", "each::gate",
    ]  # fmt: skip
    assert {"alpha.py", "beta.py"} <= project.tree(project.record().branch).keys()


PAIR: Final = """\
name: pair
steps:
  - name: both
    parallel: true
    steps:
      - {name: left, workflow: part, with: {file: left}}
      - name: right
        workflow: part
        with: {file: right}
        on_failure: {retry: 2, strategy: [same, "escalate: claude-opus"]}
"""
PART: Final = """\
name: part
inputs: {file: {type: choice, choices: [left, right], required: true}}
steps:
  - {name: write, agent: claude-haiku, prompt: "Write {file}.", gate: [compile]}
  - {name: check, agent: claude-haiku, output: review, prompt: "Check {steps.write.files}."}
"""


def test_a_call_that_failed_is_repeated_by_another_agent_while_another_call_runs(project: GumpProject) -> None:
    project.workflow("part", PART)
    project.workflow("pair", PAIR)
    for name in ("left", "right"):
        project.answer(f"both::{name}::write", writes={f"{name}.py": "ok = 1\n"})
        project.review(f"both::{name}::check", passes=name == "left", comment="no")
    project.answer("both::right::write", attempt=2, agent="claude-opus", writes={"right.py": "ok = 2\n"})
    project.review("both::right::check", passes=True, attempt=2)
    assert project.run("pair", "-n2").ret == pytest.ExitCode.OK
    right = [one for one in project.record().attempts if one.step.startswith("both::right") and one.attempt == 2]
    assert [(one.step, one.agent) for one in right] == [
        ("both::right::write", "claude-opus"),
        ("both::right::check", "claude-opus"),
    ]
    assert "Check right.py." in project.prompt("both::right::check", 2)
    tree = project.tree(project.record().branch)
    assert (tree["left.py"], tree["right.py"]) == ("ok = 1", "ok = 2")
