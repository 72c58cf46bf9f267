from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.errors import WorkflowError
from pytest_gump.workflow.edit import AgentOverride, agents_of, override_agents
from pytest_gump.workflow.find import Found, workflow_file
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.refs import iter_steps

from tests.kits.examples import examples
from tests.kits.references import resolve_step
from tests.workflow.installed import FLOW, install
from tests.workflow.loading import AGENTS, Case, load, read_table, same_cli

REVIEW = """\
name: review
inputs:
  strictness: {type: choice, choices: [low, high], default: low, description: How strict}
  change: {required: true, description: What to review}
  count: {type: integer, default: 1}
  where: {type: path, default: .}
  deep: {type: boolean, default: false}
steps:
  - {name: correctness, agent: codex, output: review, prompt: "{strictness} {change} {count} {where} {deep}"}
"""


WRONG = read_table(Path(__file__).with_name("wrong_calls.txt"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path / "project", {".gump/workflows/review.yaml": REVIEW, "../outside.yaml": FLOW})
    return tmp_path / "project"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def refusal(path: Path, project: Path) -> str:
    with pytest.raises(WorkflowError) as caught:
        load_workflow(workflow_file(path), project=project, same_cli=same_cli)
    return str(caught.value)


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.title.replace(" ", "-") for wrong in WRONG])
def test_a_wrong_call_has_the_expected_message(wrong: Case, project: Path) -> None:
    write(project, wrong.files)
    assert refusal(project / next(iter(wrong.files)), project) == wrong.expected


def test_a_call_has_the_steps_of_the_called_workflow(project: Path) -> None:
    text = 'name: flow\nsteps:\n  - {name: a, workflow: review, with: {change: "{spec}", count: 3}}\n'
    (step,) = load(text, project=project).workflow.steps
    assert step.call is not None
    assert dict(step.call.values) == {"change": "{spec}", "count": "3"}
    assert [inner.name for inner in step.steps] == ["correctness"]
    assert (step.kind, step.steps[0].agent) == ("group", AGENTS[-1])


def test_an_agent_is_replaced_in_called_workflows_too(project: Path) -> None:
    write(project, {"inner.yaml": "name: inner\nsteps:\n  - {name: b, workflow: review, with: {change: x}}\n"})
    text = "name: flow\nsteps:\n  - {name: a, workflow: ./inner.yaml}\n  - {name: c, agent: claude-haiku}\n"
    workflow = override_agents(load(text, project=project).workflow, AgentOverride.from_options(["codex=claude-opus"]))
    assert list(agents_of(workflow)) == ["claude-opus", "claude-haiku"]


def test_an_input_that_is_a_replaced_agent_has_the_new_one(project: Path) -> None:
    """The dry run shows it, and a prompt may name it."""
    write(project, {".gump/workflows/judge.yaml": JUDGE})
    middle = "name: middle\ninputs: {by: {default: codex}}\nsteps:\n  - {name: b, workflow: judge, with: {who: '{by}', what: codex}}\n"
    write(project, {".gump/workflows/middle.yaml": middle})
    gates = "gate: ['validate: judge', {validate: judge, with: {who: claude-opus}}]"
    text = f"name: flow\nsteps:\n  - {{name: a, workflow: middle}}\n  - {{name: c, agent: claude-haiku, {gates}}}\n"
    loaded = load(text, project=project).workflow
    workflow = override_agents(loaded, AgentOverride.from_options(["codex=claude-sonnet", "claude-opus=codex"]))
    call, checked = workflow.steps
    calls = [step.call.values for step in (call, *call.steps, *checked.validators) if step.call is not None]
    passed_on = {"who": "{by}", "what": "codex"}
    assert calls == [{"by": "claude-sonnet"}, passed_on, {"who": "claude-sonnet"}, {"who": "codex"}]
    assert [gate.label for gate in checked.gate] == ["validate: judge", "validate: judge (who: codex)"]
    assert override_agents(loaded, AgentOverride()) is loaded


def test_a_step_of_a_call_has_the_location_in_its_own_file(project: Path) -> None:
    loaded = load("name: flow\nsteps:\n  - {name: a, workflow: review, with: {change: x}}\n", project=project)
    assert loaded.location("a") == (project / "flow.yaml", 3)
    assert loaded.location("a::correctness") == (project / ".gump" / "workflows" / "review.yaml", 9)
    assert loaded.location("a::nothing") == (project / ".gump" / "workflows" / "review.yaml", None)


def test_a_value_of_a_call_has_the_location_in_the_file_of_its_caller(project: Path) -> None:
    gate = "    gate: [{validate: review, with: {change: x,\n      count: '{steps.w.cost}'}}]\n"
    inner = (
        "name: inner\nsteps:\n  - {name: w, agent: codex}\n  - name: b\n    workflow: review\n    with: {change: x}\n"
    )
    write(project, {"inner.yaml": inner + gate})
    loaded = load("name: flow\nsteps:\n  - {name: a, workflow: ./inner.yaml}\n", project=project)
    assert loaded.value_location("a::b", "change") == (project / "inner.yaml", 6)
    assert loaded.value_location("a::b::gate--validate-review", "count") == (project / "inner.yaml", 8)
    assert loaded.value_location("a::b", "count") == (project / "inner.yaml", None)
    part = loaded.location("a::b::gate--validate-review::correctness")
    assert part == (project / ".gump" / "workflows" / "review.yaml", 9)


def test_a_file_is_read_once_for_all_of_its_calls(project: Path) -> None:
    calls = "".join(f"  - {{name: a{number}, workflow: review, with: {{change: x}}}}\n" for number in range(20))
    steps = load(f"name: flow\nsteps:\n{calls}", project=project).workflow.steps
    assert len({id(step.steps) for step in steps}) == 1


def test_a_reference_of_a_called_step_is_resolved_in_its_own_workflow(project: Path) -> None:
    inner = "name: inner\nsteps:\n  - {name: plan, agent: codex}\n  - {name: b, agent: codex, prompt: '{steps.plan.output}'}\n"
    write(project, {"inner.yaml": inner})
    text = "name: flow\nsteps:\n  - {name: plan, agent: codex}\n  - {name: a, workflow: ./inner.yaml}\n"
    workflow = load(text, project=project).workflow
    assert resolve_step(workflow, ("a", "b"), "plan") == "a::plan"
    assert resolve_step(workflow, ("a",), "plan") == "plan"
    assert resolve_step(workflow, ("plan",), "a::plan") == "a::plan"


def chain(project: Path, length: int) -> Path:
    """Write files that call each other, and return the first."""
    for number in range(length):
        step = f"{{name: a, workflow: ./c{number + 1}.yaml}}" if number + 1 < length else "{name: a, gate: [test]}"
        write(project, {f"c{number}.yaml": f"name: c{number}\nsteps:\n  - {step}\n"})
    return project / "c0.yaml"


def test_calls_are_nested_at_most_eight_deep(project: Path) -> None:
    assert load_workflow(workflow_file(chain(project, 9)), project=project).depth == 8
    names = " -> ".join(f"c{number}" for number in range(10))
    assert refusal(chain(project, 10), project) == (
        f"c8.yaml:3:25: calls are nested 9 deep, and at most 8 are allowed: {names}"
    )


def test_a_call_of_a_file_with_deep_calls_is_refused_where_it_is_too_deep(project: Path) -> None:
    chain(project, 9)
    write(
        project, {"top.yaml": "name: top\nsteps:\n  - {name: a, workflow: c1.yaml}\n  - {name: b, workflow: c0.yaml}\n"}
    )
    assert refusal(project / "top.yaml", project) == (
        "c0.yaml:3:25: calls are nested 9 deep, and at most 8 are allowed: top -> c0 -> c1"
    )


def test_a_workflow_with_more_steps_than_can_be_collected_is_refused(project: Path) -> None:
    for number in range(7):
        called = f"workflow: ./c{number + 1}.yaml" if number < 6 else "gate: [test]"
        steps = "".join(f"  - {{name: s{each}, {called}}}\n" for each in range(10))
        write(project, {f"c{number}.yaml": f"name: c{number}\nsteps:\n{steps}"})
    assert load_workflow(workflow_file(project / "c3.yaml"), project=project).size == 11_110
    assert refusal(project / "c0.yaml", project).splitlines()[:2] == [
        "c2.yaml:3:3: the workflow has 111,110 steps with those of its calls, and at most 100,000 are allowed",
        "  hint: a call runs all steps of the called workflow again",
    ]


CALLS = st.lists(st.lists(st.integers(0, 12), max_size=3), min_size=1, max_size=13)
"""For each file, the files that it calls. Numbers above the last file stand for gate-only steps."""


@examples(60)
@given(CALLS)
def test_calls_load_unless_they_go_in_a_circle_or_too_deep(calls: list[list[int]]) -> None:
    depth = longest(calls, 0, ())
    with tempfile.TemporaryDirectory() as folder:
        for number, called in enumerate(calls):
            steps = [
                f"{{name: s{at}, workflow: ./f{other}.yaml}}"
                if other < len(calls)
                else f"{{name: s{at}, gate: [test]}}"
                for at, other in enumerate([*called, len(calls)])
            ]
            text = "".join(f"  - {step}\n" for step in steps)
            Path(folder, f"f{number}.yaml").write_text(f"name: f{number}\nsteps:\n{text}")
        found, project = workflow_file(Path(folder, "f0.yaml")), Path(folder)
        if depth is None or depth > 8:
            with pytest.raises(WorkflowError, match="calls itself|nested" if depth is None else "nested"):
                load_workflow(found, project=project)
            return
        loaded = load_workflow(found, project=project)
        assert loaded.depth == depth
        paths = list(islice(iter_steps(loaded.workflow.steps), 500))
        assert {loaded.location("::".join(names))[1] for names, _ in paths} <= set(range(3, 7))
        assert all(resolve_step(loaded.workflow, names, names[-1]) == "::".join(names) for names, _ in paths[:20])


def longest(calls: list[list[int]], number: int, above: tuple[int, ...]) -> int | None:
    """Return how deep the calls of a file are nested; None if they go in a circle, or very deep into one."""
    if number in above:
        return None
    below = [longest(calls, other, (*above, number)) for other in calls[number] if other < len(calls)]
    return None if None in below else max((depth + 1 for depth in below if depth is not None), default=0)


def test_a_link_out_of_the_project_is_refused(project: Path) -> None:
    (project / ".gump" / "workflows" / "link.yaml").symlink_to(project.parent / "outside.yaml")
    write(project, {"flow.yaml": "name: flow\nsteps:\n  - {name: a, workflow: link}\n"})
    assert refusal(project / "flow.yaml", project).startswith("flow.yaml:3:25: workflow file 'link' is outside of")


def test_a_workflow_of_the_user_can_be_called_and_calls_its_neighbours(project: Path) -> None:
    home = project.parent / "home"
    write(home, {".gump/workflows/mine.yaml": "name: mine\nsteps:\n  - {name: a, workflow: ../other.yaml}\n"})
    write(home, {".gump/other.yaml": FLOW})
    text = "name: flow\nsteps:\n  - {name: a, workflow: mine}\n"
    found = Found(project / "flow.yaml", "file", "flow", text)
    loaded = load_workflow(found, project=project, home=home)
    assert [name for name, _ in loaded.calls.items()] == ["a"]
    assert loaded.depth == 2


def test_a_package_is_known_to_all_of_its_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project.parent / "site"))
    top = "name: top\nsteps:\n  - {name: b, workflow: parts/part.yaml}\n"
    folder = install(project.parent / "site", "acme", top=top)
    write(folder, {"parts/part.yaml": "name: part\nsteps:\n  - {name: c, workflow: ../flow.yaml}\n"})
    (project.parent / "cache.yaml").write_text(FLOW)
    (folder / "flow.yaml").symlink_to(project.parent / "cache.yaml")  # some installers link the files of a package
    (step,) = load("name: flow\nsteps:\n  - {name: a, workflow: acme/top}\n", project=project).workflow.steps
    calls = step.call, step.steps[0].call, step.steps[0].steps[0].call
    assert [call and call.package and call.package.name for call in calls] == ["acme"] * 3


def test_setup_and_blast_radius_of_a_call(project: Path) -> None:
    write(project, {"one.yaml": "name: one\nsetup: [b, a]\n" + FLOW.partition("\n")[2]})
    write(project, {"two.yaml": "name: two\nblast_radius: warn\nsetup: [c]\n" + FLOW.partition("\n")[2]})
    calls = "".join(f"  - {{name: {name}, workflow: ./{name}.yaml}}\n" for name in ("one", "two"))
    workflow = load(f"name: flow\nsetup: [a, a]\nsteps:\n{calls}", project=project).workflow
    assert workflow.setup == ("a", "a", "b", "c")
    assert [step.call and step.call.blast_radius for step in workflow.steps] == ["off", "warn"]


def test_all_files_are_copied_once_under_names_of_their_own(project: Path) -> None:
    inner = "name: inner\nsteps:\n  - {name: b, workflow: review, with: {change: x}}\n"
    other = FLOW.replace("name: flow", "name: review")
    write(project, {"inner.yaml": inner, "parts/other.yaml": other})
    names = ("./inner.yaml", "parts/other.yaml", "inner.yaml")
    calls = "".join(f"  - {{name: s{number}, workflow: {name}}}\n" for number, name in enumerate(names))
    text = f"name: flow\nsteps:\n{calls}"
    assert load(text, project=project).copies() == {
        "workflow.yaml": text,
        "called-inner.yaml": inner,
        "called-review.yaml": other,
        "called-review-2.yaml": REVIEW,
    }


def test_notes_of_a_called_file_are_notes_of_the_workflow(project: Path) -> None:
    policy = 'on_failure: {retry: 1, strategy: [same, "escalate: codex"]}'
    write(project, {"inner.yaml": f"name: inner\nsteps:\n  - {{name: b, agent: codex, gate: [test], {policy}}}\n"})
    text = "".join(f"  - {{name: {name}, workflow: ./inner.yaml}}\n" for name in "xy")
    (note,) = load(f"name: flow\nsteps:\n{text}", project=project).notes
    assert note.path == "inner.yaml"


JUDGE = """\
name: judge
inputs: {who: {default: codex}, what: {}}
steps:
  - {name: look, agent: "{who}", output: artifact}
  - {name: say, agent: "{who}", output: review, prompt: "{what}", session: {reuse: look}}
"""


def test_an_agent_that_is_an_input_is_that_of_the_call(project: Path) -> None:
    write(project, {".gump/workflows/judge.yaml": JUDGE})
    calls = (
        "name: flow\nsteps:\n"
        "  - {name: one, workflow: judge}\n"
        "  - {name: two, workflow: judge, with: {who: claude-opus, what: a}}\n"
        "  - {name: three, workflow: judge, with: {who: claude-opus, what: b}}\n"
        "  - {name: four, workflow: judge, with: {who: claude-haiku}}\n"
        "  - name: checked\n    agent: claude-opus\n    gate:\n"
        "      - {validate: judge, independent: true, with: {who: codex}}\n"
    )
    loaded = load(calls, project=project)
    with pytest.raises(WorkflowError, match="claude-haiku and the author, claude-opus, are Claude models"):
        load(calls.replace("{who: codex}", "{who: claude-haiku}"), project=project)
    agents = [step.agent for _, step in iter_steps(loaded.workflow.steps) if step.kind == "agent"]
    assert agents == [*["codex"] * 2, *["claude-opus"] * 4, *["claude-haiku"] * 2, "claude-opus", *["codex"] * 2]
    assert loaded.calls["two"] is loaded.calls["three"] is not loaded.calls["four"]
    with pytest.raises(WorkflowError) as caught:
        load(calls.replace("what: a", "who: codx, what: a").replace("who: claude-opus, who", "who"), project=project)
    assert str(caught.value) == "flow.yaml:4:46: unknown agent 'codx'\n  hint: did you mean 'codex'?"


def test_an_agent_is_passed_on_to_a_call_and_a_validator(project: Path) -> None:
    write(project, {".gump/workflows/judge.yaml": JUDGE})
    middle = (
        "name: middle\ninputs: {by: {default: codex}}\nsteps:\n  - {name: in, workflow: judge, with: {who: '{by}'}}\n"
    )
    checked = "  - {name: do, agent: claude-opus, gate: [{validate: judge, with: {who: '{by}'}}]}\n"
    write(project, {".gump/workflows/middle.yaml": middle + checked})
    calls = (
        "name: flow\ninputs: {one: {required: true}, two: {default: claude-haiku}}\nsteps:\n"
        "  - {name: a, workflow: middle, with: {by: '{one}'}}\n"
        "  - {name: b, workflow: middle, with: {by: '{two}'}}\n"
        "  - {name: c, workflow: middle}\n"
    )
    found = Found(project / "flow.yaml", "file", "flow", calls)
    loaded = load_workflow(found, project=project, inputs={"one": "claude-sonnet"})
    assert loaded.agent_inputs == ("one", "two")
    agents = [step.agent for _, step in iter_steps(loaded.workflow.steps) if step.kind == "agent"]
    used = ("claude-sonnet", "claude-haiku", "codex")
    assert agents == [agent for who in used for agent in (who, who, "claude-opus", who, who)]
    unknown = next(step for _, step in iter_steps(load(calls, project=project).workflow.steps) if step.kind == "agent")
    assert unknown.first_agents == (), "the value of a required input is not known before the run"
    with pytest.raises(WorkflowError) as caught:
        load(calls.replace("{one}", "{spec}"), project=project)
    assert str(caught.value) == (
        "flow.yaml:4:44: input 'by' is an agent and cannot be '{spec}'\n"
        "  hint: write the name of an agent, or exactly '{INPUT}'"
    )
    inputs = load(calls.replace("{default: claude-haiku}", "{}"), project=project).workflow.inputs
    assert [declared.required for declared in inputs.values()] == [True, True], "an agent must be known before the run"
    with pytest.raises(WorkflowError, match=r"^flow\.yaml:5:44: unknown agent 'claude-haik'\n  hint: .*\Z"):
        load(calls.replace("claude-haiku", "claude-haik"), project=project)


def test_an_agent_that_is_an_input_of_the_run_has_its_value(project: Path) -> None:
    text = JUDGE.replace("default: codex", "required: true")
    text += "  - {name: end, agent: claude-opus, prompt: x, session: {reuse: say}}\n"
    assert [step.first_agents for step in load(text, project=project).workflow.steps] == [(), (), ("claude-opus",)]
    assert load(text, project=project).agent_inputs == ("who",)
    found = Found(project / "flow.yaml", "file", "flow", text)
    given = load_workflow(found, project=project, inputs={"who": "claude-haiku"}).workflow
    assert [step.first_agents for step in given.steps] == [*[("claude-haiku",)] * 2, ("claude-opus",)]
