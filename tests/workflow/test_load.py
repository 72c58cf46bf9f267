from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.workflow.edit import AgentOverride, override_agents
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.model import AgentOf, Entry, GateSpec, SessionMode, When

from tests.workflow.loading import load, one_step, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.workflow.model import Policy, Step

TDD = """\
name: tdd
max_budget: 5.00
steps:
  - name: decompose
    agent: claude-opus
    output: plan
    gate: [schema]
  - name: build
    foreach: decompose
    steps:
      - name: tests
        agent: claude-haiku
        prompt: "Write tests for: {item.description}"
        guard: { max_turns: 40 }
        gate: [compile, tests_found]
        on_failure: { retry: 2, strategy: [same, "escalate: claude-sonnet"] }
      - name: impl
        agent: claude-haiku
        session: reuse
        gate: [compile, test]
        on_failure:
          retry: 5
          strategy: ["same: 3", "escalate: claude-sonnet"]
          restart_from: tests
  - name: quality
    gate: [compile, lint, test]
"""


def step_of(lines: str) -> Step:
    return load(one_step(lines)).workflow.steps[0]


def policy_of(on_failure: str) -> Policy:
    failure = step_of(f"agent: claude-haiku\non_failure: {on_failure}").on_failure
    assert failure is not None
    assert failure.flat is not None
    return failure.flat


def test_lines_of_steps_are_found_by_static_path() -> None:
    assert load(TDD).lines == {"decompose": 4, "build": 8, "build::tests": 11, "build::impl": 17, "quality": 25}


def test_a_strategy_is_expanded_to_one_entry_per_attempt() -> None:
    impl = load(TDD).workflow.steps[1].steps[1]
    assert impl.on_failure is not None
    assert impl.on_failure.flat is not None
    assert impl.on_failure.flat.retry == 5
    assert impl.on_failure.flat.strategy == (Entry(), Entry(), Entry(), Entry(kind="escalate", agent="claude-sonnet"))
    assert impl.on_failure.flat.restart_from == "tests"


def test_same_is_inserted_before_a_strategy_that_starts_differently() -> None:
    assert [entry.kind for entry in policy_of("{strategy: ['escalate: claude-opus']}").strategy] == ["same", "escalate"]


@pytest.mark.parametrize(
    ("on_failure", "retry"),
    [
        ("{strategy: ['same: 3', 'escalate: claude-opus']}", 4),
        ("{strategy: ['escalate: claude-opus']}", 2),
        ("{retry: 7, strategy: [same]}", 7),
        ("{retry: 7}", 7),
    ],
)
def test_retry_defaults_to_the_length_of_the_strategy(on_failure: str, retry: int) -> None:
    assert policy_of(on_failure).retry == retry


@pytest.mark.parametrize("written", ["'same: 2'", "same: 2", "{same: 2}", "'same:2'"])
def test_a_strategy_entry_is_text_or_a_mapping(written: str) -> None:
    assert policy_of(f"{{strategy: [{written}]}}").strategy == (Entry(), Entry())


def test_a_strategy_mapping_overrides_session_worktree_and_prompt() -> None:
    strategy = policy_of(
        "{strategy: [same, {escalate: claude-opus, session: resume, worktree: keep, prompt: 'again {error}'}]}"
    ).strategy
    assert strategy[1] == Entry(
        kind="escalate", agent="claude-opus", session="resume", worktree="keep", prompt="again {error}"
    )


def test_conditions_of_an_entry_are_read_and_expanded_with_it() -> None:
    policy = policy_of(
        "{strategy: [{same: 2, when: {gate: [compile, lint]}}, {escalate: claude-opus, when: {gate: test, attempt: 3}}]}\n"
        "gate: [compile, lint, test]"
    )
    fixes = Entry(when=When(gate=("compile", "lint")))
    harder = Entry(kind="escalate", agent="claude-opus", when=When(gate=("test",), attempt=3))
    assert policy.strategy == (Entry(), fixes, fixes, harder)
    assert (policy.retry, policy.adds_first, policy.last) == (4, True, None)


@pytest.mark.parametrize(
    ("strategy", "last"),
    [
        ("[same, {escalate: claude-opus, when: {attempt: 2}}]", Entry()),
        ("[{same: 2, when: {attempt: 2}}]", None),
        ("[{same: 1, when: {attempt: 2}}, 'escalate: claude-opus']", Entry(kind="escalate", agent="claude-opus")),
        ("['escalate: claude-opus', {same: 1, when: {attempt: 2}}]", Entry(kind="escalate", agent="claude-opus")),
    ],
)
def test_last_entry_without_conditions_repeats(strategy: str, last: Entry | None) -> None:
    assert policy_of(f"{{strategy: {strategy}}}").last == last


def test_a_group_may_name_the_gates_of_its_steps_and_a_replan_compiles() -> None:
    loaded = load(
        "name: flow\nsteps:\n"
        "  - name: both\n    gate: [lint]\n"
        "    on_failure: {strategy: [{escalate: claude-opus, when: {gate: [lint, test]}}]}\n"
        "    steps:\n"
        "      - name: a\n        agent: claude-haiku\n        gate: [test]\n"
        "        on_failure: {retry: 4, strategy: ['replan: claude-opus', {same: 1, when: {gate: compile}}]}\n"
    )
    assert loaded.notes == ()


def test_agent_of_another_step_is_read_with_its_escalations() -> None:
    loaded = load(
        "name: flow\nsteps:\n"
        "  - name: build\n    on_failure: {strategy: ['escalate: claude-opus']}\n"
        "    steps:\n"
        "      - name: work\n        agent: claude-haiku\n"
        "        on_failure: {strategy: ['replan: codex', 'escalate: claude-sonnet']}\n"
        "  - {name: rest, agent: '{steps.build.work.agent}', session: {reuse: work}}\n"
    )
    rest = loaded.workflow.steps[1]
    assert (rest.kind, rest.agent) == ("agent", "claude-haiku")
    assert rest.agent_of == AgentOf("build.work", ("claude-sonnet", "claude-opus"))
    assert rest.first_agents == ("claude-haiku", "claude-sonnet", "claude-opus")
    renamed = override_agents(
        loaded.workflow, AgentOverride(renamed={"claude-haiku": "codex", "claude-opus": "claude-haiku"})
    ).steps[1]
    assert renamed.first_agents == ("codex", "claude-sonnet", "claude-haiku")


def test_branches_are_read_separately() -> None:
    step = step_of(
        "agent: claude-haiku\non_failure:\n  gate_fail: {retry: 3}\n  guard_fail: {strategy: ['escalate: claude-opus']}"
    )
    assert step.on_failure is not None
    assert step.on_failure.flat is None
    assert step.on_failure.gate_fail is not None
    assert step.on_failure.gate_fail.retry == 3
    assert step.on_failure.guard_fail is not None
    assert step.on_failure.guard_fail.retry == 2


def test_on_failure_is_valid_on_groups_and_gate_only_steps() -> None:
    loaded = load(
        "name: flow\nsteps:\n"
        "  - {name: plan, agent: claude-opus, output: plan}\n"
        "  - name: each\n    foreach: plan\n    on_failure: {strategy: ['escalate: claude-opus']}\n"
        "    steps:\n      - {name: a, agent: claude-haiku}\n"
        "  - {name: check, gate: [test], on_failure: {retry: 2, restart_from: each}}\n"
    )
    assert [step.on_failure is not None for step in loaded.workflow.steps] == [False, True, True]


@pytest.mark.parametrize(
    ("written", "gate"),
    [
        ("compile", GateSpec(name="compile")),
        ("'touched: @tests'", GateSpec(name="touched", argument="@tests")),
        ("touched: '@tests'", GateSpec(name="touched", argument="@tests")),
        ("'bash: test -f a:b'", GateSpec(name="bash", argument="test -f a:b")),
        ("{bash: true}", GateSpec(name="bash", argument="true")),
        ("coverage: 80", GateSpec(name="coverage", argument="80")),
        ("'coverage: 87.5'", GateSpec(name="coverage", argument="87.5")),
        ("no_todo", GateSpec(name="no_todo")),
        ("no_todo: src", GateSpec(name="no_todo", argument="src")),
        ("'untouched: src/[!a]*.py'", GateSpec(name="untouched", argument="src/[!a]*.py")),
    ],
)
def test_a_gate_is_text_or_a_mapping(written: str, gate: GateSpec) -> None:
    assert load(one_step(f"gate: [{written}]"), gates=("no_todo",)).workflow.steps[0].gate == (gate,)


def test_an_unknown_gate_suggests_a_gate_of_the_project() -> None:
    text = one_step("gate: [no_todos]")
    with pytest.raises(Exception, match="did you mean 'no_todo'"):
        load(text, gates=("no_todo",))


@pytest.mark.parametrize(
    ("written", "session"),
    [
        ("fresh", SessionMode()),
        ("reuse", SessionMode(mode="reuse")),
        ("reuse-on-retry", SessionMode(mode="reuse-on-retry")),
        ("{reuse: first}", SessionMode(mode="reuse", step="first")),
        ("{fork: first}", SessionMode(mode="fork", step="first")),
    ],
)
def test_all_forms_of_session_are_read(written: str, session: SessionMode) -> None:
    first = "name: flow\nsteps:\n  - {name: first, agent: claude-opus}\n"
    loaded = load(f"{first}  - {{name: b, agent: claude-haiku, session: {written}}}\n")
    assert loaded.workflow.steps[1].session == session


def test_timeout_sets_the_time_guard() -> None:
    assert step_of("agent: claude-haiku\ntimeout: 1h30m").guard.max_time == 5400
    assert step_of("agent: claude-haiku\nguard: {max_time: 90s}").guard.max_time == 90


def test_root_limits_and_inputs_are_read() -> None:
    workflow = load(
        "name: flow\nmax_budget: 2\nmax_tokens: 1000\nmax_time: 2h\nblast_radius: off\nsetup: [npm ci, true]\n"
        "inputs: {language: {default: 5}, ticket: {required: true}, plain: }\n"
        "steps:\n  - {name: a, agent: claude-haiku, prompt: 'in {language} for {ticket}'}\n"
    ).workflow
    assert (workflow.max_budget, workflow.max_tokens, workflow.max_time) == (2, 1000, 7200)
    assert workflow.blast_radius == "off"
    assert workflow.setup == ("npm ci", "true")
    assert {name: (one.required, one.default) for name, one in workflow.inputs.items()} == {
        "language": (False, "5"),
        "ticket": (True, None),
        "plain": (False, None),
    }


def test_anchors_and_aliases_can_share_values() -> None:
    workflow = load(
        "name: flow\nsteps:\n  - {name: a, gate: &gates [compile, test]}\n  - {name: b, gate: *gates}\n"
    ).workflow
    assert workflow.steps[0].gate == workflow.steps[1].gate


def test_a_prompt_file_beside_the_workflow_is_read(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "work.md").write_text("Do {spec}\n")
    loaded = load(one_step("agent: claude-haiku\nprompt: {file: prompts/work.md}"), project=tmp_path)
    assert loaded.workflow.steps[0].prompt == "Do {spec}\n"


def test_a_prompt_file_can_be_elsewhere_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "work.md").write_text("Do it")
    text = one_step("agent: claude-haiku\nprompt: {file: ../../work.md}")
    loaded = load(text, project=tmp_path, name=".gump/workflows/flow.yaml")
    assert loaded.workflow.steps[0].prompt == "Do it"


def test_an_error_in_a_prompt_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "work.md").write_text("Do it\nfor {itm.name}\n")
    message = refusal(one_step("agent: claude-haiku\nprompt: {file: work.md}"), project=tmp_path)
    assert message.startswith("work.md:2:5: unknown template name {itm.name}\n")


def test_a_prompt_file_outside_the_project_is_refused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret").write_text("password")
    (project / "link.md").symlink_to(tmp_path / "secret")
    message = refusal(one_step("agent: claude-haiku\nprompt: {file: link.md}"), project=project)
    assert "prompt file 'link.md' is outside the project and the workflow's folder" in message


def test_a_pipe_as_prompt_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    message = refusal(one_step("agent: claude-haiku\nprompt: {file: pipe}"), project=tmp_path)
    assert "prompt file 'pipe' is not a regular file" in message


def test_a_binary_prompt_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work.md").write_bytes(b"\xff\xfe")
    message = refusal(one_step("agent: claude-haiku\nprompt: {file: work.md}"), project=tmp_path)
    assert "prompt file 'work.md' is not UTF-8 text" in message


def test_a_workflow_without_a_folder_has_no_prompt_files(tmp_path: Path) -> None:
    found = Found(None, "built-in", "flow", one_step("agent: claude-haiku\nprompt: {file: work.md}"))
    with pytest.raises(Exception, match=r"flow\.yaml:5:20: this workflow has no folder"):
        load_workflow(found, project=tmp_path)


def test_foreach_can_name_a_plan_of_an_enclosing_foreach() -> None:
    loaded = load(
        "name: flow\nsteps:\n"
        "  - {name: outer, agent: claude-opus, output: plan}\n"
        "  - name: each\n    foreach: outer\n    steps:\n"
        "      - {name: inner, agent: claude-opus, output: plan}\n"
        "      - name: parts\n        foreach: inner\n        steps:\n"
        "          - {name: work, agent: claude-haiku, prompt: '{item.name} {task.files} {steps.inner.output}'}\n"
    )
    assert "each::parts::work" in loaded.lines


def test_a_thousand_steps_load_quickly() -> None:
    steps = "".join(
        f"  - {{name: s{n}, agent: claude-haiku, prompt: '{{steps.s{n // 2}.output}}'}}\n" for n in range(1000)
    )
    assert len(load(f"name: flow\nsteps:\n{steps}").workflow.steps) == 1000
