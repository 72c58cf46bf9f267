"""A whole run of a workflow file of Gump 0.0.4. tests/engine/schedule/former.txt has the attempts of other files."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_gump.cli.program import main

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

FLOW = """\
name: flow
max_timeout: 2h
steps:
  - {name: before, type: code, agent: pass, gate: ["bash:test -e spec.md"], retry: [{exit: 2}]}
  - name: nothing
    type: split
    agent: claude-opus
    each: [{name: never, type: code, agent: claude-haiku}]
  - name: plan
    type: split
    get: {prompt: "Split {spec}", worktree: read-only}
    run: {agent: claude-opus}
    gate: [schema]
    parallel: true
    retry: [{exit: 2}]
    each:
      - name: impl
        type: code
        get: {prompt: {file: impl.md}, workflow: notes, query: "{task.name}"}
        run: {agent: "{author}"}
        gate: ["bash:test ! -e wrong.txt"]
        retry: [{attempt: 2, prompt: "Repair: {error}"}, {attempt: 3, agent: claude-opus}, {exit: 3}]
      - name: polish
        type: code
        agent: "{impl.agent}"
        session: {from: impl}
        gate: [{validate: validators/fits, change: "{diff}", agent: claude-haiku}]
        retry: [{attempt: 2, prompt: "The review says {gate.fits.comments}"}, {exit: 3}]
  - {name: ship, type: artifact, agent: claude-haiku, hitl: after_gate, prompt: "Say {plan.output}"}
  - {name: quality, gate: ["bash:test -e one.py && test -e two.py"]}
"""
FILES = {
    ".gump/workflows/impl.md": "Do {task.description}: {notes.output}",
    ".gump/workflows/notes.yaml": (
        "name: notes\nsteps:\n  - {name: ask, type: artifact, agent: claude-haiku, prompt: 'Find {query}'}\n"
    ),
    ".gump/validators/fits.yaml": (
        "name: fits\nsteps:\n  - {name: judge, type: validate, agent: '{agent}', prompt: 'Fits? {change}'}\n"
    ),
}
JUDGE = "plan-each::polish--validate-fits::judge"


def test_a_run_has_the_attempts_of_the_original_and_waits_for_a_person(gump_project: GumpProject) -> None:
    project = gump_project
    project.write(FILES)
    project.workflow("flow", FLOW)
    project.plan("nothing")
    project.answer("plan", out={"plan.json": "no plan"})
    project.plan("plan", "one", "two", attempt=2)
    for task in ("one", "two"):
        project.answer(f"plan-each::notes::ask[{task}]", out={"artifact.txt": f"notes of {task}"})
        project.answer(f"plan-each::impl[{task}]", writes={"wrong.txt": "", f"{task}.py": "a = 1\n"})
        project.answer(f"plan-each::polish[{task}]", writes={f"{task}.md": "It works.\n"})
    project.answer("plan-each::impl[one]", attempt=2, deletes=["wrong.txt"])
    project.answer("plan-each::impl[two]", attempt=2, writes={"two.py": "a = 2\n"})
    project.answer("plan-each::impl[two]", attempt=3, agent="claude-opus", deletes=["wrong.txt"])
    project.answer(f"{JUDGE}[one]", out={"validate.json": '{"pass": true}'})
    project.answer(f"{JUDGE}[two]", out={"validate.json": '{"pass": false, "comments": "no layers"}'})
    project.answer("plan-each::polish[two]", attempt=2, writes={"two.md": "It fits.\n"})
    project.answer(f"{JUDGE}[two]", attempt=2, out={"validate.json": '{"pass": true, "comments": ""}'})
    project.answer("ship", out={"artifact.txt": "shipped"})
    assert project.run("flow", "--gump-input=author=claude-sonnet").ret == 1
    assert project.record().status == "awaiting"
    sonnet, opus, haiku = "claude-sonnet", "claude-opus", "claude-haiku"
    assert attempts(project) == {
        "before": [None],
        "nothing": [opus],
        "plan": [opus, f"{opus} continues"],
        "plan-each::notes::ask[one]": [haiku],
        "plan-each::notes::ask[two]": [haiku],
        "plan-each::impl[one]": [sonnet, f"{sonnet} continues"],
        "plan-each::impl[two]": [sonnet, f"{sonnet} continues", opus],
        "plan-each::polish[one]": [f"{sonnet} continues"],
        f"{JUDGE}[one]": [haiku],
        "plan-each::merge[one]": [None],
        "plan-each::polish[two]": [f"{opus} continues"] * 2,
        f"{JUDGE}[two]": [haiku] * 2,
        "plan-each::merge[two]": [None],
        "ship": [haiku],
    }
    assert "\n\nDo do one: notes of one\n" in project.prompt("plan-each::impl[one]")
    assert "\n\nRepair: Attempt 2 of `plan-each::impl[two]`" in project.prompt("plan-each::impl[two]", 3)
    assert "\n\nThe review says no layers\n" in project.prompt("plan-each::polish[two]", 2)
    assert "It fits." in project.prompt(f"{JUDGE}[two]", 2)
    assert main(["approve", "--by", "A Reviewer"]) == 0
    assert project.pytester.runpytest_inprocess("--gump-resume").ret == 0
    record = project.record()
    assert [len(record.steps[step].attempts) for step in ("plan-each::impl[two]", "ship", "quality")] == [3, 1, 1]
    assert project.tree(f"gump/{record.run_id}").keys() >= {"one.py", "one.md", "two.py", "two.md"}


def attempts(project: GumpProject) -> dict[str, list[str | None]]:
    made = defaultdict(list)
    for attempt in project.record().attempts:
        made[attempt.step].append(f"{attempt.agent} continues" if attempt.session_resumed else attempt.agent)
    return made
