"""The page for users of the original Gump is right about retries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_gump.engine.reporting.dry_run_attempts import describe_attempts

from tests.workflow.loading import load, one_step

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
