"""Whole runs of workflow files of Gump 0.0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

FLOW = """\
name: flow
steps:
  - name: plan
    type: split
    agent: claude-opus
    prompt: "Split {spec}"
    each:
      - name: converge
        type: code
        agent: claude-haiku
        prompt: "Do {task.description}"
        gate: ["bash:test ! -e wrong.txt", {validate: validators/fits, change: "{diff}"}]
        retry:
          - attempt: 2
            prompt: "The review says {gate.fits.comments}"
          - attempt: 4
            agent: claude-opus
          - exit: 5
      - name: smoke
        type: code
        agent: "{converge.agent}"
        session: {from: converge}
        prompt: "Try it"
        gate: ["touched: *.md"]
"""
FITS = """\
name: fits
steps:
  - {name: judge, type: validate, agent: claude-sonnet, prompt: "Fits? {change}"}
"""
JUDGE = "plan-each::converge--validate-fits::judge[one]"


def test_rules_stay_in_force_and_the_next_step_uses_the_last_agent(gump_project: GumpProject) -> None:
    project = gump_project
    project.workflow("flow", FLOW)
    project.write({".gump/validators/fits.yaml": FITS})
    project.commit()
    project.plan("plan", "one")
    step = "plan-each::converge[one]"
    project.answer(step, writes={"wrong.txt": "", "a.py": "a = 1\n"})
    project.answer(step, attempt=2, deletes=["wrong.txt"])
    project.answer(JUDGE, out={"validate.json": '{"pass": false, "comments": "no layers"}'})
    project.answer(step, attempt=3, writes={"wrong.txt": "again"})
    project.answer(step, attempt=4, agent="claude-opus", deletes=["wrong.txt"], writes={"b.py": "b = 1\n"})
    project.answer(JUDGE, attempt=2, out={"validate.json": '{"pass": true, "comments": ""}'})
    project.answer("plan-each::smoke[one]", agent="claude-opus", writes={"a.md": "It works.\n"})
    result = project.run("flow")
    assert result.ret == 0
    made = [
        (attempt.step, attempt.attempt, attempt.result.agent) for attempt in project.record().attempts if attempt.result
    ]
    assert made == [
        ("plan", 1, "claude-opus"),
        (step, 1, "claude-haiku"),
        (step, 2, "claude-haiku"),
        (JUDGE, 1, "claude-sonnet"),
        (step, 3, "claude-haiku"),
        (step, 4, "claude-opus"),
        (JUDGE, 2, "claude-sonnet"),
        ("plan-each::smoke[one]", 1, "claude-opus"),
    ]
    assert project.prompt(step).startswith("## Your task\n\nDo ")
    assert project.prompt(step, 3).startswith("## Your task\n\nThe review says no layers\n")
    assert "a = 1" in project.prompt(JUDGE)
    assert project.tree(f"gump/{project.record().run_id}").keys() >= {"a.py", "b.py", "a.md"}


STICKY = """\
name: flow
steps:
  - name: impl
    type: code
    agent: claude-haiku
    prompt: {file: impl.md}
    gate: ["bash:test -e a.txt", tests_found, {bash: "test -e b.txt"}]
    retry:
      - {not: gate.tests_found, agent: claude-opus, prompt: "Add tests, {who}"}
      - {attempt: 3, session: new}
      - {exit: 3}
  - {name: last, gate: ["bash: test -e c.txt"]}
"""


def test_rules_about_a_gate_stay_in_force_and_a_failed_run_is_resumed(gump_project: GumpProject) -> None:
    project = gump_project
    project.workflow("flow", STICKY)
    project.write({".gump/workflows/impl.md": "Do {spec} for {who}\n"})
    project.commit()
    project.answer("impl", writes={"tests/test_a.py": "def test_a():\n    assert True\n"})
    project.answer("impl", attempt=2, deletes=["tests/test_a.py"], writes={"a.txt": "", "b.txt": ""})
    project.answer(
        "impl", attempt=3, agent="claude-opus", writes={"tests/test_b.py": "def test_b():\n    assert True\n"}
    )
    assert project.run("flow", "--gump-input=who=us").ret == 1
    impl, last = project.record().steps["impl"], project.record().steps["last"]
    assert [attempt.result.agent for attempt in impl.attempts if attempt.result] == ["claude-haiku"] * 2 + [
        "claude-opus"
    ]
    assert (impl.status, last.status) == ("passed", "failed")
    assert "\n\nDo " in project.prompt("impl", 2)
    assert " for us\n" in project.prompt("impl", 2)
    assert "\n\nAdd tests, us\n" in project.prompt("impl", 3)
    assert project.run("flow", "--gump-input=who=us", "--lf").ret == 1
    steps = project.record().steps
    assert [len(steps[name].attempts) for name in ("impl", "last")] == [3, 2]
