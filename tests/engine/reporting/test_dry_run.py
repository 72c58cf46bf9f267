from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from pytest_gump.engine.reporting.dry_run import describe
from pytest_gump.workflow.find import Found, builtin_folder
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.refs import iter_steps

from tests.engine.schedule.test_schedule_properties import workflows
from tests.kits.examples import examples

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Workflow

COMMANDS = {"compile": "make build", "test": "make test"}


def lines(text: str, columns: int = 100) -> list[str]:
    found = Found(path=None, source="file", name="flow", text=dedent(text))
    loaded = load_workflow(found, gates=["no_todo"], project=Path())
    return describe(loaded.workflow, source="file", spec_name="spec.md", commands=COMMANDS, columns=columns)


def value(text: str, label: str) -> str:
    """Return the text after the label in the first step that has it, with continuation lines joined."""
    found = iter(lines(f"name: flow\nsteps:\n{dedent(text)}", columns=400))
    return next(line.partition(label)[2].strip() for line in found if line.strip().startswith(f"{label} "))


def attempts(on_failure: str) -> str:
    text = f"""
    - {{name: tests, agent: claude-haiku, prompt: go}}
    - name: impl
      agent: claude-haiku
      prompt: go
      gate: [test]
      on_failure: {on_failure}
    """
    rows = lines(f"name: flow\nsteps:\n{dedent(text)}", columns=400)
    start = next(number for number, line in enumerate(rows) if line.startswith("impl"))
    return next(line for line in rows[start:] if "attempts" in line).partition("attempts")[2].strip()


def test_documented_policy_is_described_as_attempts() -> None:
    description = attempts('{retry: 5, strategy: ["same: 3", "escalate: claude-sonnet"], restart_from: tests}')
    assert description == (
        "1-3 claude-haiku, 4 claude-sonnet, then restart from tests, 5 claude-haiku; the 5th failure is final"
    )


@pytest.mark.parametrize(
    ("policy", "description"),
    [
        ("{retry: 1}", "1 claude-haiku; the first failure is final"),
        ("{retry: 2}", "1-2 claude-haiku; the 2nd failure is final"),
        ('{strategy: [same, "escalate: claude-opus"]}', "1 claude-haiku, 2 claude-opus; the 2nd failure is final"),
        (
            '{retry: 4, strategy: [same, "escalate: claude-opus"]}',
            "1 claude-haiku, 2-4 claude-opus; the 4th failure is final",
        ),
        (
            '{retry: 3, strategy: [same, "replan: claude-opus"]}',
            "1 claude-haiku, 2-3 replanned by claude-opus, items by claude-haiku; the 3rd failure is final",
        ),
        (
            '{retry: 2, strategy: [same, {escalate: claude-opus, worktree: keep, prompt: "again"}]}',
            "1 claude-haiku, 2 claude-opus (worktree keep, another prompt); the 2nd failure is final",
        ),
        (
            "{strategy: [{same: 2, when: {attempt: 3}}, {escalate: claude-opus, worktree: keep, when: {gate: test}}]}",
            (
                "1 claude-haiku, then the first unused that fits: 2 x the same agent from attempt 3 on, "
                "claude-opus (worktree keep) if test fails; else final; the 4th failure is final"
            ),
        ),
        (
            "{retry: 5, strategy: [same, {replan: claude-opus, when: {gate: test, attempt: 3}}, same]}",
            (
                "1 claude-haiku, then the first unused that fits: "
                "replanned by claude-opus, items by the same agent if test fails from attempt 3 on, the same agent; "
                "else the same agent; the 5th failure is final"
            ),
        ),
        (
            "{retry: 3, strategy: [{same: 1, session: fresh, when: {gate: test}}], restart_from: tests}",
            (
                "1 claude-haiku, then the first unused that fits: the same agent (session fresh) if test fails; "
                "else restart from tests; the 3rd failure is final"
            ),
        ),
        ("{retry: 100}", "1-100 claude-haiku; the 100th failure is final"),
    ],
)
def test_policies_are_described_as_attempts(policy: str, description: str) -> None:
    assert attempts(policy) == description


def test_each_branch_of_a_policy_is_described() -> None:
    text = """
    name: flow
    steps:
      - name: impl
        agent: claude-haiku
        prompt: go
        on_failure:
          gate_fail: {retry: 2}
          guard_fail: {retry: 2, strategy: [same, "escalate: claude-opus"]}
    """
    rows = [line.strip() for line in lines(text)]
    assert "attempts  on gate_fail: 1-2 claude-haiku; the 2nd failure is final" in rows
    assert "on guard_fail: 1 claude-haiku, 2 claude-opus; the 2nd failure is final" in rows


def test_agent_of_another_step_is_described_by_its_step() -> None:
    rows = lines(
        "name: flow\nsteps:\n  - {name: a, agent: claude-haiku}\n"
        "  - {name: b, agent: '{steps.a.agent}', on_failure: {strategy: [same, 'escalate: claude-opus']}}\n"
    )
    start = next(number for number, row in enumerate(rows) if row.startswith("b "))
    assert rows[start].startswith("b  the agent of a, diff")
    assert "    attempts  1 the agent of a, 2 claude-opus; the 2nd failure is final" in rows
    assert "    reads     {steps.a.agent} in agent: agent of a" in rows


def test_step_without_a_policy_has_one_attempt() -> None:
    assert value("- {name: a, agent: claude, prompt: go}", "attempts") == "1 claude; its failure is final"


def test_gates_are_listed_with_their_commands() -> None:
    rows = lines("name: flow\nsteps:\n  - {name: q, gate: [compile, lint, tests_found, no_todo]}\n")
    assert rows[-4:] == [
        "    gates  compile  make build",
        "           lint     no command found: set gump_lint",
        "           tests_found",
        "           no_todo  a gate of this project or of a plugin",
    ]


def test_guards_implied_by_the_mode_are_listed() -> None:
    description = value(
        "- {name: a, agent: claude, output: plan, prompt: go, guard: {max_turns: 9}, timeout: 5m}", "guards"
    )
    assert description == "max_turns 9, max_time 5m, no_write (implied by plan)"


def test_references_are_listed_with_the_steps_that_they_resolve_to() -> None:
    text = """
    name: flow
    steps:
      - {name: plan, agent: claude, output: plan, prompt: go}
      - name: build
        foreach: plan
        steps:
          - {name: impl, agent: claude, prompt: go}
          - {name: check, agent: claude, prompt: "{steps.impl.files} of {steps.plan.output}"}
      - {name: sum, agent: claude, output: artifact, prompt: "{steps.build.impl.cost}"}
    """
    rows = [line.strip() for line in lines(text)]
    assert "reads     {steps.impl.files} in prompt: files of build::impl[*], of the same item" in rows
    assert "{steps.plan.output} in prompt: output of plan" in rows
    assert "reads     {steps.build.impl.cost} in prompt: cost of build::impl[*], of every item" in rows
    assert any(row.startswith("build ") and "once for each item of plan, in order" in row for row in rows)


def test_merges_of_parallel_groups_are_listed() -> None:
    text = """
    name: flow
    steps:
      - {name: plan, agent: claude, output: plan, prompt: go}
      - name: build
        foreach: plan
        parallel: true
        overlap: serialize
        steps:
          - {name: impl, agent: claude, prompt: go}
          - name: both
            parallel: true
            steps:
              - {name: one, agent: claude, prompt: go}
              - {name: two, agent: claude, output: review, prompt: go}
    """
    rows = [line.strip() for line in lines(text)]
    assert "merges   build::merge[*], in plan order" in rows
    assert "overlap  items that may change the same files run one after the other" in rows
    assert "merges  build::both::merge[*--one], in plan order" in rows


def test_budgets_sessions_and_context_are_listed() -> None:
    text = """
    name: flow
    max_budget: 5
    max_time: 1h30m
    setup: [make deps]
    steps:
      - {name: a, agent: claude, prompt: go}
      - name: b
        agent: claude
        prompt: go
        session: {reuse: a}
        max_budget: 1.5
        context: [{file: docs/a.md}, {bash: git log}]
      - {name: c, agent: claude, prompt: go, session: {fork: a}}
    """
    rows = [line.strip() for line in lines(text)]
    assert "budget        $5.00, 1h30m for the whole run" in rows
    assert "setup         make deps" in rows
    assert "session   continues the conversation of a" in rows
    assert "budget    $1.50 for all attempts of the step" in rows
    context = rows.index("context   file docs/a.md")
    assert rows[context + 1] == "output of: git log"
    assert "session   starts with a copy of the conversation of a" in rows


@pytest.mark.parametrize("path", sorted(builtin_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_built_in_workflow_can_be_described(path: Path) -> None:
    loaded = load_workflow(Found(path, "built-in", path.stem, path.read_text()), project=Path())
    rows = describe(
        loaded.workflow, source="built-in", spec_name="s.md", commands=COMMANDS, location=loaded.location, columns=80
    )
    assert rows[0] == f"{path.stem} on s.md (built-in workflow)"
    placed = ("line ", ".yaml:", "gates", "validate: ")
    assert [row for row in rows if len(row) > 80 and not any(text in row for text in placed)] == []


def test_called_steps_are_indented_with_the_inputs_filled_in(tmp_path: Path) -> None:
    inner = """\
    name: inner
    max_tokens: 1000
    inputs: {level: {default: low}, change: {}}
    steps:
      - {name: deep, workflow: ./deepest.yaml, with: {level: "very {level}"}}
    """
    deepest = "name: deepest\ninputs: {level: {}}\nsteps:\n  - {name: b, agent: codex, prompt: '{level}'}\n"
    (tmp_path / "inner.yaml").write_text(dedent(inner))
    (tmp_path / "deepest.yaml").write_text(deepest)
    text = """\
    name: flow
    inputs: {strictness: {}}
    steps:
      - {name: look, agent: codex, output: artifact}
      - {name: a, workflow: ./inner.yaml, with: {level: "{strictness}", change: "{steps.look.output}"}}
    """
    found = Found(tmp_path / "flow.yaml", "file", "flow", dedent(text))
    loaded = load_workflow(found, project=tmp_path)
    rows = describe(
        loaded.workflow, source="file", spec_name="s.md", commands={}, location=loaded.location,
        inputs={"strictness": "high"},
    )  # fmt: skip
    assert "  inputs        strictness: high" in rows
    assert rows[rows.index("a           call of ./inner.yaml, its steps in order  line 5") :] == [
        "a           call of ./inner.yaml, its steps in order  line 5",
        "    inputs  level: high",
        "            change: {steps.look.output}",
        "    limits  1000 tokens for all attempts of the call",
        "    reads   {steps.look.output} in with: output of look",
        "",
        "  a::deep     call of ./deepest.yaml, its steps in order  inner.yaml:5",
        "      inputs  level: very high",
        "",
        "    a::deep::b  codex, diff  deepest.yaml:4",
        "        guards    none",
        "        session   fresh; kept while the same agent retries",
        "        attempts  1 codex; its failure is final",
    ]


def test_the_steps_of_a_validator_are_indented_below_the_checked_step(tmp_path: Path) -> None:
    folder = tmp_path / ".gump" / "workflows"
    folder.mkdir(parents=True)
    verdict = "{name: verdict, agent: claude-opus, output: review, prompt: Judge it.}"
    (folder / "check.yaml").write_text(f"name: check\ninputs: {{focus: {{}}}}\nsteps:\n  - {verdict}\n")
    gate = "{validate: check, with: {focus: errors}}"
    step = f"{{name: impl, agent: claude-haiku, prompt: Do it., gate: [{gate}]}}"
    text = f"name: flow\nsteps:\n  - {step}\n"
    loaded = load_workflow(Found(tmp_path / "flow.yaml", "file", "flow", text), project=tmp_path)
    rows = describe(loaded.workflow, source="file", spec_name="s.md", commands=COMMANDS, location=loaded.location)
    shown = "\n".join(rows)
    assert "gates" in shown
    assert "validate: check (focus: errors)  when all other gates have passed; its steps follow" in shown
    assert "impl--validate-check           validator: check, its steps in order  line 3" in shown
    assert "  impl--validate-check::verdict  claude-opus, review  check.yaml:4" in shown
    assert "focus: errors" in shown


def test_conditions_of_an_approval_step_are_described() -> None:
    text = "- {name: ship, approve: true, on_failure: {retry: 3, strategy: [same, {same: 1, when: {attempt: 3}}]}}"
    expected = "1 the question, then the first unused that fits: the question from attempt 3 on; else the question"
    assert value(text, "attempts") == f"{expected}; the 3rd failure is final"


@examples(100)
@given(workflows())
def test_every_step_of_any_workflow_is_described(workflow: Workflow) -> None:
    rows = describe(workflow, source="file", spec_name="spec.md", commands=COMMANDS)
    described = [row.split()[0].partition("[")[0] for row in rows if row.strip()]
    assert all("::".join(path) in described for path, _ in iter_steps(workflow.steps))


def test_limits_of_a_call_for_each_item_are_those_of_an_item() -> None:
    text = """
    - {name: plan, agent: codex, output: plan}
    - {name: each, foreach: plan, workflow: freeform}
    """
    assert value(text, "limits") == "$3.00 for all attempts of each item"
