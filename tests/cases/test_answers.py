"""Conditions in a strategy, the agent of another step, and a context workflow: all in a parallel foreach with workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

SUMMARY: Final = """\
name: summary
inputs: {topic: {required: true}, change: {}}
steps:
  - {name: tell, agent: claude-haiku, output: artifact, prompt: "Tell {topic}\\n{change}"}
"""
MAIN: Final = """\
name: main
steps:
  - {name: split, agent: claude-opus, output: plan, prompt: Split it.}
  - name: build
    foreach: split
    parallel: true
    steps:
      - name: converge
        agent: claude-haiku
        prompt: "Do {item.name}."
        gate: [compile]
        on_failure: {retry: 3, strategy: [{escalate: claude-opus, when: {gate: compile}}]}
      - name: polish
        agent: "{steps.converge.agent}"
        session: {reuse: converge}
        prompt: "Polish {item.name}. {prev.output}"
        context: [{workflow: summary, with: {topic: "{item.name}", change: "{diff}"}}]
        gate: [compile]
        on_failure: {retry: 2}
"""
BROKEN: Final = "def broken(:\n"
TELL: Final = "build::polish--context-summary::tell"


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_each_item_continues_with_its_own_agent_and_context(project: GumpProject, workers: tuple[str, ...]) -> None:
    project.workflow("summary", SUMMARY)
    project.workflow("main", MAIN)
    project.plan("split", "one", "two")
    for item in ("one", "two"):
        for attempt in (1, 2):
            first = BROKEN if item == "two" and attempt == 1 else "x = 1\n"
            project.answer(
                f"build::converge[{item}]", attempt=attempt, writes={f"{item}.py": first}, session_id=f"c-{item}"
            )
        project.answer(f"{TELL}[{item}]", out={"artifact.txt": f"about {item}"})
        project.answer(f"build::polish[{item}]", writes={f"{item}.py": BROKEN})
        project.answer(f"build::polish[{item}]", attempt=2, writes={f"{item}.py": "y = 2\n"})
    assert project.run("main", *workers).ret == pytest.ExitCode.OK
    steps = project.record().steps
    agents = {path: [attempt.agent for attempt in step.attempts] for path, step in steps.items() if "polish[" in path}
    assert agents == {"build::polish[one]": ["claude-haiku"] * 2, "build::polish[two]": ["claude-opus"] * 2}
    assert [attempt.agent for attempt in steps["build::converge[two]"].attempts] == ["claude-haiku", "claude-opus"]
    assert all(attempt.session_resumed for path in agents for attempt in steps[path].attempts)
    for item in ("one", "two"):
        assert len(steps[f"{TELL}[{item}]"].attempts) == 1
        assert f"Tell {item}\ndiff --git a/{item}.py b/{item}.py\nnew file" in project.prompt(f"{TELL}[{item}]")
        prompts = [project.prompt(f"build::polish[{item}]", attempt) for attempt in (1, 2)]
        assert all(f"### Output of workflow `summary`\n\n```\nabout {item}\n```" in prompt for prompt in prompts)
        assert f"Polish {item}.\n" in prompts[0]
        assert f"Polish {item}. diff --git a/{item}.py" in prompts[1]
