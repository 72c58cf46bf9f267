"""The page for users of the original Gump is right about retries, commands and conversions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_gump.cli.command import SUMMARIES
from pytest_gump.cli.former_words import refuse_former
from pytest_gump.engine.reporting.dry_run_attempts import describe_attempts
from pytest_gump.errors import ConfigError, WorkflowError
from pytest_gump.workflow.convert import HEADER, convert_workflow
from pytest_gump.workflow.find import Found

from tests.workflow.loading import NOWHERE, load, one_step

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "come-from-gump.md"


def rows() -> list[tuple[str, str]]:
    section = PAGE.read_text(encoding="utf-8").partition("## Retries")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(on_failure: \{.*?\}|strategy: \[.*?\])` \| (.*?) \|", section, re.MULTILINE)


@pytest.mark.parametrize(("written", "here"), rows())
def test_a_policy_has_the_meaning_that_the_page_describes(written: str, here: str) -> None:
    policy = written if written.startswith("on_failure") else f"on_failure: {{retry: 3, {written}}}"
    step = load(one_step(f"agent: claude-haiku\ngate: [test]\n{policy}")).workflow.steps[0]
    attempts = " ".join(text for _, text in describe_attempts(step))
    if " attempts" in here:
        assert f"1-{here.partition(' ')[0]} claude-haiku" in attempts
    else:
        second = re.search(r"attempt 2 (claude-opus)", here)
        assert second is not None
        assert "1 claude-haiku, 2-3 claude-opus" in attempts


def test_the_page_has_the_checked_rows() -> None:
    assert len(rows()) == 4


def test_the_example_of_a_conversion_is_what_the_command_prints() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Files of Gump 0.0.4\n")[2].partition("\n### ")[0]
    old, converted = re.findall(r"```(?:text|yaml)\n(.*?)```", section, re.DOTALL)
    found = Found(NOWHERE / "flow.yaml", "file", "flow", old)
    assert convert_workflow(found, project=NOWHERE, load=lambda found: load(found.text).workflow) == HEADER + converted


def test_the_commands_of_the_page_exist() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## Commands\n")[2].partition("\n## ")[0]
    table = [row.split(" | ") for row in section.splitlines() if row.startswith("| `gump")]
    here = re.findall(r"`gump ([a-z]+)((?: [^`]*)?)`", " ".join(cells[1] for cells in table))
    same = re.findall(
        r"^`?gump ([a-z]+)", "\n".join(cells[0][2:] for cells in table if "the same" in cells[1]), re.MULTILINE
    )
    assert len(table) > 15
    assert {name for name, _ in here} | set(same) <= {*SUMMARIES}


ORIGINAL_OPTIONS = [
    "run --recipe tdd", "run --cook x", "run --agent-stub", "run --replay --from-step impl", "run --run x",
    "report --detail impl", "apply --run x", "apply --cook x", "gc --keep-last 0", "config set analytics false",
    "version", "--log-level debug status",
]  # fmt: skip
"""Commands and options of the original that do not exist here."""


@pytest.mark.parametrize("words", ORIGINAL_OPTIONS)
def test_an_option_of_the_original_is_refused_with_the_present_form(words: str) -> None:
    with pytest.raises(ConfigError, match="belongs to the original Gump") as caught:
        refuse_former(words.split())
    named = re.findall(r"gump ([a-z]+)", str(caught.value.hint))
    assert set(named) <= {*SUMMARIES}
    assert named or "gump --version" in str(caught.value.hint)


STEPS = """\
name: flow
steps:
  - name: a
    parallel: true
    steps:
      - {name: b, parallel: true, steps: [{name: look, type: artifact, agent: claude-opus}]}
  - {name: look, type: validate, agent: claude-opus}
  - {name: call, workflow: validators/arch-review}
  - name: split
    type: split
    agent: claude-opus
    each:
      - name: step
        type: code
        agent: claude-opus
        gate: [test]
        retry:
          - attempt: 2
            prompt: "<%s>"
          - exit: 2
"""
NAMES = {"STEP": "look", "CALL": "call", "SPLIT": "split", "NAME": "test", "FIELD": "files", "{name}": "{team}"}


def templates() -> list[tuple[str, str]]:
    """Return each name of the table of templates, and what it becomes: empty if it is not supported."""
    section = PAGE.read_text(encoding="utf-8").partition("\n### Templates\n")[2].partition("\n## ")[0]
    table = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| `")]
    return [pair for before, after in table for pair in _pairs(re.findall(r"`(\{.*?\})`", before), after)]


def _pairs(names: list[str], after: str) -> list[tuple[str, str]]:
    if "not supported" in after:
        return [(name, "") for name in names]
    return [*zip(names, re.findall(r"`(\{.*?\})`", after) or names, strict=True)]


def with_names(text: str) -> str:
    for placeholder, name in NAMES.items():
        text = text.replace(placeholder, name)
    return text.replace("{call.state.look", "{call.state.review").replace("{steps.call.look", "{steps.call.review")


@pytest.mark.parametrize(("before", "after"), templates())
def test_a_template_of_the_original_becomes_what_the_page_says(before: str, after: str) -> None:
    text = STEPS % with_names(before)
    if not after:
        with pytest.raises(WorkflowError, match=r"has no value here|names one task"):
            load(text)
        return
    found = Found(NOWHERE / "flow.yaml", "file", "flow", text)
    converted = convert_workflow(found, project=NOWHERE, load=lambda found: load(found.text).workflow)
    assert f"<{with_names(after)}>" in converted


def test_the_page_has_the_checked_templates() -> None:
    assert len(templates()) >= 20
