"""The attempts of workflow files of Gump 0.0.4: agents, conversations, files and prompts, after the failures of a table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.engine.schedule.test_builtins import attempts
from tests.workflow.loading import load

TABLE = Path(__file__).with_name("former.txt").read_text(encoding="utf-8")
CASES = re.split(r"^=== ", TABLE, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("case", CASES, ids=[case.partition("\n")[0].replace(" ", "-") for case in CASES])
def test_the_attempts_of_a_file_of_gump_0_0_4(case: str) -> None:
    text, given, expected = re.split(r"\n---\n|>>>\n", case.partition("\n")[2])
    fails = {step: outcomes.split() for step, _, outcomes in (line.partition(": ") for line in given.splitlines())}
    assert "\n".join(attempts(load(text).workflow, fails)) == expected.strip()
