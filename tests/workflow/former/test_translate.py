"""Each form of Gump 0.0.4 and what it becomes, and each wrong or unsupported form with its message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_gump.workflow.convert import HEADER, convert_workflow
from pytest_gump.workflow.find import Found

from tests.workflow.loading import NOWHERE, load, refusal

HERE = Path(__file__).parent


def read_table(name: str) -> list[tuple[str, str, str]]:
    """Return title, file and expected text of each entry."""
    _, *cases = re.split(r"^=== ", (HERE / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [_entry(*case.split("\n", 1)) for case in cases]


def _entry(title: str, text: str) -> tuple[str, str, str]:
    written, expected = text.split("\n>>>\n")
    return title, written, expected


FORMS = read_table("forms.txt")
REFUSED = read_table("refused.txt")


def convert(text: str, project: Path = NOWHERE) -> str:
    found = Found(project / "flow.yaml", "file", "flow", text)
    return convert_workflow(found, project=project, load=lambda found: load(found.text, project=project).workflow)


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
def test_a_form_is_translated(text: str, expected: str) -> None:
    assert convert(f"{text}\n") == f"{HEADER}{expected.strip()}\n"


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_form_is_refused(text: str, expected: str) -> None:
    assert refusal(f"{text}\n") == expected.strip()


def test_the_tables_have_no_duplicate_cases() -> None:
    assert len({title for title, *_ in FORMS}) == len(FORMS) >= 20
    assert len({title for title, *_ in REFUSED}) == len(REFUSED) >= 40
