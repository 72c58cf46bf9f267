"""Each form of Gump 0.0.4 and what it becomes, and each wrong or unsupported form with its message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.reporting.dry_run_attempts import describe_attempts
from pytest_gump.errors import ConfigError, WorkflowError
from pytest_gump.workflow.convert import HEADER, convert_workflow
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.refs import iter_steps

from tests.kits.references import resolve_step
from tests.workflow.loading import NOWHERE, load, read_table, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.model import Step

HERE = Path(__file__).parent
FORMS = read_table(HERE / "forms.txt")
REFUSED = read_table(HERE / "refused.txt")
ORIGINALS = read_table(HERE / "originals.txt")


def described(text: str) -> str:
    """Return one line for each step of a workflow, or the message."""
    try:
        workflow = load(text).workflow
    except WorkflowError as error:
        return str(error)
    return "\n".join(" ".join(["::".join(path), *_facts(step)]) for path, step in iter_steps(workflow.steps))


def _facts(step: Step) -> Iterator[str]:
    yield step.output if step.kind == "agent" else step.kind
    if step.foreach is not None:
        yield f"for each of {step.foreach}{' in parallel' if step.parallel else ''}"
    if step.session.step is not None:
        yield f"in the conversation of {step.session.step}"
    if step.gate:
        yield f"[{', '.join(gate.label for gate in step.gate)}]"
    yield from (f"({text})" for _, text in describe_attempts(step))


def convert(text: str, project: Path = NOWHERE) -> str:
    found = Found(project / "flow.yaml", "file", "flow", text)
    return convert_workflow(found, project=project, load=lambda found: load(found.text, project=project).workflow)


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
def test_a_form_is_translated(text: str, expected: str) -> None:
    assert convert(f"{text}\n") == f"{HEADER}{expected}\n"


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_form_is_refused(text: str, expected: str) -> None:
    assert refusal(f"{text}\n") == expected


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in ORIGINALS], ids=[case[0] for case in ORIGINALS])
def test_a_workflow_of_the_original_loads_or_is_refused(text: str, expected: str) -> None:
    assert described(f"{text}\n") == expected


def test_the_tables_have_no_duplicate_cases() -> None:
    assert len({title for title, *_ in FORMS}) == len(FORMS) >= 20
    assert len({title for title, *_ in REFUSED}) == len(REFUSED) >= 40


RESEARCH = """\
name: research
steps:
  - {name: ask, type: artifact, agent: claude-opus, prompt: "Find out: {query}"}
"""
CALLS = """\
name: flow
steps:
  - {name: look, workflow: research, with: {query: "{spec}"}}
  - name: impl
    type: code
    get: {prompt: "{look.output} {look.state.ask.output} {notes.output}", workflow: notes, query: "{look.state.ask.files}"}
    run: {agent: claude-haiku}
"""
CONVERTED = """\
name: flow
steps:
  - name: look
    workflow: research
    with: {query: "{spec}"}
  # 'get: {workflow: notes}' of step impl
  - name: notes
    workflow: notes
    with: {query: "{steps.look.ask.files}"}
  - name: impl
    agent: claude-haiku
    prompt: "{steps.look.output} {steps.look.ask.output} {steps.notes.output}"
"""


COMMENTED = """\
# top

name: flow   # behind
steps:
  # first
  - name: impl  # its name
    # dropped
    type: code
    prompt: |
      # not a comment
      Do it
    run: {agent: claude-haiku}
    gate:
      #must compile
      - compile
    retry:
      - {attempt: 2, prompt: "x # y"}
      - exit: 3  # last
# end
"""
WITH_COMMENTS = """\
# top
# behind
name: flow
steps:
  # first
  # its name
  - name: impl
    agent: claude-haiku
    # dropped
    prompt: |
      # not a comment
      Do it
    gate:
      # must compile
      - compile
    on_failure:
      # last
      retry: 3
      strategy:
        - same
        - {same: 1, prompt: "x # y"}
# end
"""


def test_comments_stay_above_their_keys() -> None:
    assert convert(COMMENTED) == HEADER + WITH_COMMENTS


def test_calls_become_calls_with_inputs(tmp_path: Path) -> None:
    folder = tmp_path / ".gump" / "workflows"
    folder.mkdir(parents=True)
    (folder / "research.yaml").write_text(RESEARCH)
    (folder / "notes.yaml").write_text(RESEARCH.replace("name: research", "name: notes"))
    assert convert(CALLS, tmp_path) == HEADER + CONVERTED
    assert [step.name for step in load(CALLS, project=tmp_path).workflow.steps] == ["look", "notes", "impl"]


def test_a_call_of_a_workflow_in_a_folder_becomes_a_path(tmp_path: Path) -> None:
    folder = tmp_path / ".gump" / "workflows"
    (folder / "team").mkdir(parents=True)
    (folder / "team" / "notes.yaml").write_text(RESEARCH)
    text = CALLS.replace("workflow: research", "workflow: team/notes").replace(
        "workflow: notes", "workflow: team/notes"
    )
    converted = convert(text, tmp_path)
    assert converted.count("workflow: ./.gump/workflows/team/notes.yaml\n") == 2
    assert [step.name for step in load(text, project=tmp_path).workflow.steps] == ["look", "notes", "impl"]


def test_an_input_that_a_call_leaves_out_is_refused_or_has_a_note(tmp_path: Path) -> None:
    (tmp_path / ".gump" / "workflows").mkdir(parents=True)
    (tmp_path / ".gump" / "workflows" / "research.yaml").write_text(RESEARCH)
    text = (
        "name: flow\nsteps:\n  - {name: look, workflow: research}\n"
        '  - {name: impl, type: code, agent: claude-opus, prompt: "{asked}"}\n'
    )
    what = "workflow 'research' uses {query}, which this call does not give"
    assert [note.message for note in load(text, project=tmp_path).notes] == [what]
    with pytest.raises(WorkflowError) as caught:
        load(text.replace("asked", "query"), project=tmp_path)
    assert str(caught.value) == f'flow.yaml:3:28: {what}\n  hint: add query: "{{query}}"'
    current = "name: flow\nsteps:\n  - {name: look, workflow: research, max_budget: 1}\n"
    assert [note.message for note in load(current, project=tmp_path).notes] == [what]
    given = text.replace("research}", "research, with: {query: '{query}'}}")
    assert load(given, project=tmp_path).notes == ()


def test_the_old_name_of_a_call_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("name: part\nsteps:\n  - {name: check, gate: [test]}\n")
    text = "name: flow\nsteps:\n  - {name: part, workflow: ./part.yaml}\n"
    old = load(text.replace("workflow", "recipe"), project=tmp_path).workflow
    assert old == load(text, project=tmp_path).workflow
    assert old.steps[0].call is not None


def test_a_step_of_a_call_can_be_named_as_in_the_original(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("name: part\nsteps:\n  - {name: look, agent: claude-opus, output: artifact}\n")
    text = (
        "name: flow\nsteps:\n  - {name: part, workflow: ./part.yaml}\n"
        '  - {name: impl, agent: claude-opus, prompt: "{steps.part.steps.look.output}"}\n'
    )
    loaded = load(text, project=tmp_path).workflow
    assert resolve_step(loaded, ("impl",), "part.steps.look") == "part::look"
    with pytest.raises(WorkflowError, match="which does not exist"):
        load(text.replace("steps.look", "steps.other"), project=tmp_path)


def test_a_validator_of_the_original_is_found_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / ".gump" / "validators").mkdir(parents=True)
    (tmp_path / ".gump" / "validators" / "part.yaml").write_text(
        "name: part\nsteps:\n  - {name: check, gate: [test]}\n"
    )
    workflow = load("name: flow\nsteps:\n  - {name: a, workflow: validators/part}\n", project=tmp_path).workflow
    assert workflow.steps[0].steps[0].name == "check"


def test_the_text_of_a_prompt_file_is_translated(tmp_path: Path) -> None:
    (tmp_path / "task.md").write_text("Do {plan.output}\n\nfor {team}\n")
    text = (
        "name: flow\nsteps:\n  - {name: plan, type: artifact, agent: claude-opus}\n"
        "  - {name: impl, type: code, agent: claude-opus, prompt: {file: task.md}}\n"
    )
    workflow = load(text, project=tmp_path).workflow
    assert workflow.steps[1].prompt == "Do {steps.plan.output}\n\nfor {team}\n"
    assert list(workflow.inputs) == ["team"]
    assert "    # from task.md\n    prompt: |\n      Do {steps.plan.output}\n\n      for {team}\n" in convert(
        text, tmp_path
    )


def test_a_file_that_is_too_long_with_its_prompts_is_not_converted(tmp_path: Path) -> None:
    (tmp_path / "task.md").write_text("Do it\n" * 170_000)
    text = "name: flow\nsteps:\n  - {name: a, type: code, agent: claude-opus, prompt: {file: task.md}}\n"
    with pytest.raises(ConfigError, match=r"'flow\.yaml' has no exact conversion"):
        convert(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{spce}", "{spce} is not a name of Gump 0.0.4, so it is an input of this workflow"),
        ("{deep.output}", "{deep.output} is empty in Gump 0.0.4; here it has the value of that step"),
    ],
)
def test_a_doubtful_name_has_a_note(text: str, message: str) -> None:
    loaded = load(
        "name: flow\nsteps:\n  - {name: deep, type: artifact, agent: claude-opus}\n"
        "  - name: plan\n    type: split\n    agent: claude-opus\n    each:\n"
        f'      - {{name: impl, type: code, agent: claude-haiku, prompt: "{text}"}}\n'
    )
    assert [note.message for note in loaded.notes] == [message]
    assert (loaded.notes[0].line, loaded.notes[0].column) == (8, 64)


def test_what_has_no_effect_in_the_original_has_a_note() -> None:
    loaded = load(
        "name: flow\nsteps:\n  - {name: a, type: code, agent: pass, prompt: x, guard: {max_turns: 1}, gate: [test]}\n"
    )
    assert [note.message for note in loaded.notes] == [
        "'prompt' has no effect: 'agent: pass' starts no agent",
        "'guard' has no effect: 'agent: pass' starts no agent",
    ]
