"""The page for users of the original Gump is right about retries, commands and conversions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_gump.cli.command import SUMMARIES
from pytest_gump.cli.former_words import refuse_former
from pytest_gump.engine.reporting.dry_run_attempts import describe_attempts
from pytest_gump.errors import ConfigError
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


@pytest.mark.parametrize(
    "words", ["run --recipe tdd", "run --agent-stub", "run --from-step impl", "report --detail impl", "apply --run x"]
)
def test_an_option_of_the_original_is_refused_with_the_present_form(words: str) -> None:
    with pytest.raises(ConfigError, match="belongs to the original Gump") as caught:
        refuse_former(words.split())
    assert "gump " in str(caught.value.hint)
