from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system import plain_data
from pytest_gump.workflow.edit import AgentOverride
from pytest_gump.workflow.model import GateSpec, ValidatorOptions
from pytest_gump.workflow.reading.read_gates import BUILTIN_GATES
from pytest_gump.workflow.refs import Scopes, UnknownStepError, iter_steps

from tests.workflow.loading import Case, load, read_table, refusal

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Workflow


CASES: Final = read_table(Path(__file__).with_name("wrong_validators.txt"))
REVIEW: Final = "{name: judge, agent: claude-opus, output: review, prompt: Judge it.}"
CALLED: Final = {
    "check": f"inputs: {{focus: {{}}, depth: {{type: integer, default: 1}}}}\nsteps: [{REVIEW}]",
    "strict": f"inputs: {{change: {{required: true}}}}\nsteps: [{REVIEW}]",
    "notes": "steps: [{name: note, agent: claude-opus, output: artifact, prompt: Note it.}]",
    "parallel": f"steps:\n  - {{name: all, parallel: true, steps: [{REVIEW}]}}",
    "fixes": (
        "steps:\n  - {name: all, steps: [{name: fix, agent: claude-opus, prompt: Fix it., gate: [compile]}]}\n"
        f"  - {REVIEW}"
    ),
    "nested": f"steps:\n  - {REVIEW[:-1]}, gate: ['validate: check']}}",
    "other": "steps: [{name: judge, agent: codex, output: review, prompt: Judge it.}]",
    "informed": "steps: [{name: judge, agent: codex, output: review, context: [{workflow: notes}]}]",
}


def test_loader_and_registry_know_the_same_gates() -> None:
    assert set(BUILTIN) == set(BUILTIN_GATES)


def test_the_label_of_a_gate_shows_what_differs_from_the_defaults() -> None:
    assert GateSpec("test").label == "test"
    assert GateSpec("bash", "make check").label == "bash: make check"
    assert GateSpec("validate", "arch-review", ValidatorOptions()).label == "validate: arch-review"
    options = ValidatorOptions((("focus", "errors"), ("change", "{diff}")), independent=True)
    label = "validate: arch-review (focus: errors, change: {diff}, independent)"
    assert GateSpec("validate", "arch-review", options).label == label
    long = GateSpec("validate", "check", ValidatorOptions((("focus", "first line\nsecond " + "x" * 100),))).label
    assert long == f"validate: check (focus: first line second {'x' * 21}…)"


def test_a_gate_with_options_survives_a_message() -> None:
    gate = GateSpec("validate", "arch-review", ValidatorOptions((("focus", "errors"),), independent=True))
    assert plain_data.load(GateSpec, plain_data.dump(gate)) == gate
    assert plain_data.load(GateSpec, {"name": "test", "argument": None}) == GateSpec("test")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / ".gump" / "workflows"
    folder.mkdir(parents=True)
    for name, text in CALLED.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{text}\n")
    return tmp_path


def with_gates(*gates: str, agent: str = "claude-haiku") -> str:
    listed = ", ".join(gates)
    return f"name: flow\nsteps:\n  - name: work\n    agent: {agent}\n    gate: [{listed}]\n    prompt: Do it.\n"


@pytest.mark.parametrize("case", CASES, ids=[case.title.replace(" ", "-") for case in CASES])
def test_a_wrong_validator_has_the_expected_message(project: Path, case: Case) -> None:
    gate = case.text if case.text.startswith("{") else f"'{case.text}'"
    assert refusal(with_gates(gate), project=project) == case.expected.replace("{project}", str(project))


def test_the_path_of_a_validator_cannot_look_like_options(project: Path) -> None:
    (project / ".gump" / "workflows" / "a (b).yaml").write_text(
        "name: b\nsteps: [{name: j, agent: codex, output: review}]\n"
    )
    refused = refusal(with_gates("{validate: ./.gump/workflows/a (b).yaml}"), project=project)
    assert "contains ' ('\n  hint: rename it: in labels, options begin with '('" in refused


def paths(workflow: Workflow) -> list[str]:
    return ["::".join(names) for names, _ in iter_steps(workflow.steps)]


def test_a_validator_is_a_part_of_its_step(project: Path) -> None:
    gates = ("compile", "{validate: check, with: {focus: '{diff}', depth: 3}}", "{validate: check, with: {depth: 1}}")
    loaded = load(with_gates(*gates), project=project)
    (step,) = loaded.workflow.steps
    assert [gate.label for gate in step.gate] == [
        "compile", "validate: check (focus: {diff}, depth: 3)", "validate: check",
    ]  # fmt: skip
    assert paths(loaded.workflow) == [
        "work",
        "work--validate-check",
        "work--validate-check::judge",
        "work--validate-check-2",
        "work--validate-check-2::judge",
    ]
    assert loaded.location("work--validate-check::judge") == (project / ".gump" / "workflows" / "check.yaml", 3)


def test_a_validator_of_a_group_belongs_to_the_step_that_runs_its_gates(project: Path) -> None:
    step = "{name: impl, agent: claude-haiku, prompt: Do it., gate: [compile]}"
    text = f"name: flow\nsteps:\n  - name: build\n    gate: ['validate: check']\n    steps: [{step}]\n"
    assert paths(load(text, project=project).workflow)[2:] == [
        "build::gate--validate-check", "build::gate--validate-check::judge",
    ]  # fmt: skip


def test_the_gates_of_a_call_are_a_part_of_the_caller(project: Path) -> None:
    """Their templates are filled with the inputs and steps of the caller."""
    text = "name: flow\nsteps:\n  - {name: judge, agent: claude-haiku}\n  - name: call\n    workflow: other\n"
    gate = "    gate: [{validate: check, with: {focus: '{steps.judge.output}'}}]\n"
    scopes = Scopes(load(text + gate, project=project).workflow)
    part = ("call", "gate--validate-check")
    assert scopes.scope_of((*part, "judge")) == part
    for path in (part, ("call", "gate")):
        assert (scopes.scope_of(path), scopes.source(path, "judge")) == ((), ("judge",))
    assert scopes.scope_of(("call", "judge")) == ("call",)
    text = f"name: flow\nsteps:\n  - name: call\n    workflow: other\n{gate}".replace("steps.judge.output", "output")
    assert "unknown template name {output}" in refusal(text, project=project), "only an agent delivers something"


def test_an_independent_validator_has_an_agent_of_another_family(project: Path) -> None:
    loaded = load(with_gates("{validate: other, independent: true}"), project=project)
    assert loaded.workflow.steps[0].gate[0].label == "validate: other (independent)"
    text = with_gates("{validate: other, independent: true}", agent="codex")
    assert "are GPT models" in refusal(text, project=project)
    informed = with_gates("{validate: informed, independent: true}")
    assert "claude-opus and the author, claude-haiku, are Claude models" in refusal(informed, project=project)
    alone = "name: flow\nsteps:\n  - {name: work, gate: [{validate: other, independent: true}]}\n"
    assert "cannot be independent: step 'work' has no agent" in refusal(alone, project=project)


def test_an_independent_validator_is_checked_with_the_agents_of_the_command_line(project: Path) -> None:
    other, informed = (with_gates(f"{{validate: {name}, independent: true}}") for name in ("other", "informed"))
    renamed = AgentOverride.from_options(["claude-opus=codex"])
    assert load(informed, project=project, override=renamed).workflow.steps[0].validators
    renamed = AgentOverride.from_options(["codex=claude-sonnet"])
    expected = "not independent: claude-sonnet and the author, claude-haiku, are Claude models"
    assert expected in refusal(other, project=project, override=renamed)
    assert "codex and the author, codex" in refusal(other, project=project, override=AgentOverride("codex"))


def test_the_steps_of_a_validator_are_a_scope_of_their_own(project: Path) -> None:
    two = "steps:\n  - {name: look, agent: codex, output: artifact, prompt: Look.}\n  - " + REVIEW
    (project / ".gump" / "workflows" / "two.yaml").write_text(f"name: two\n{two}\n")
    workflow = load(with_gates("'validate: two'"), project=project).workflow
    scopes, group = Scopes(workflow), ("work--validate-two",)
    assert scopes.scope_of((*group, "judge")) == group, "session: reuse does not cross it"
    assert scopes.resolve((*group, "judge"), "look") == (*group, "look")
    with pytest.raises(UnknownStepError):
        scopes.resolve(("work",), "look")
    with pytest.raises(UnknownStepError):
        scopes.resolve((*group, "judge"), "work")
