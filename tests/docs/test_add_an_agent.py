"""The guide "Add an agent": its conftest runs a program in a real session."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.family import FAMILIES
from pytest_gump.conformance import scenarios_bounds, scenarios_commands, scenarios_faults
from pytest_gump.conformance.model.vocabulary import VOCABULARY
from pytest_gump.conformance.subjects import SUBJECTS

from tests.agents.recordings import RECORDED

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "add-an-agent.md").read_text(encoding="utf-8")

WORKFLOW = """\
name: house
steps:
  - name: impl
    agent: house
    prompt: Greet.
    gate: [compile]
"""


def block(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert match is not None
    return match[1]


@pytest.fixture
def house(gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> GumpProject:
    """Return a project with the conftest of the guide, and a `house-agent` that prints the stream of the guide."""
    folder = gump_project.path.parent / f"{gump_project.path.name}-bin"
    folder.mkdir()
    (folder / "stream").write_text(block("json"), encoding="utf-8")
    program = folder / "house-agent"
    program.write_text(
        f"#!/bin/sh\ncat > {folder}/prompt\necho 'hello = 1' > app.py\ncat {folder}/stream\nexit $(cat {folder}/code)\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    (folder / "code").write_text("0", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    gump_project.write({"app.py": "", "conftest.py": block("python")})
    gump_project.workflow("house", WORKFLOW)
    return gump_project


def test_the_agent_of_the_guide_passes_a_step(house: GumpProject) -> None:
    result = house.pytester.runpytest_inprocess("--gump-workflow=house", "spec.md")
    result.assert_outcomes(passed=1)
    usage = house.record().attempts[0].result.usage  # type: ignore[union-attr]
    assert (usage.tokens.input, usage.tokens.output, usage.tool_calls) == (2100, 96, 1)
    assert usage.provenance == "estimated"
    assert house.tree(house.record().head)["app.py"] == "hello = 1"


def test_gump_log_shows_the_output_of_the_agent_of_the_guide(house: GumpProject) -> None:
    house.pytester.runpytest_inprocess("--gump-workflow=house", "spec.md")
    result = house.pytester.run(sys.executable, "-m", "pytest_gump", "log", "impl", "--no-prompt")
    result.stdout.fnmatch_lines(
        ["  raw output of house, an agent that a conftest or plugin defines:", '*"file": "app.py"}']
    )


def test_the_agent_of_the_guide_reports_a_failure(house: GumpProject) -> None:
    (house.path.parent / f"{house.path.name}-bin" / "code").write_text("3", encoding="utf-8")
    result = house.pytester.runpytest_inprocess("--gump-workflow=house", "spec.md")
    result.assert_outcomes(failed=1)
    assert house.record().steps["impl"].outcome == "agent_error"


def test_the_agent_of_the_guide_reports_a_missing_cost_as_unknown(house: GumpProject) -> None:
    stream = house.path.parent / f"{house.path.name}-bin" / "stream"
    stream.write_text(block("json").partition('{"kind": "bye"')[0], encoding="utf-8")
    result = house.pytester.runpytest_inprocess("--gump-workflow=house", "spec.md")
    result.assert_outcomes(failed=1)
    assert house.record().attempts[0].has_unknown_cost
    assert (house.record().total.cost_usd, house.record().total.unknown) == (0, 1)


def test_a_missing_agent_of_the_guide_is_reported_before_the_run(
    house: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = house.pytester.runpytest_inprocess("--gump-workflow=house", "spec.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: cannot start the agent of impl: house-agent is not on PATH; *"])


# -- a built-in agent ------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
TESTED = {cli for cli, family in FAMILIES.items() if family.program.tested is not None}
"""The CLIs that are run in the conformance suite."""
PACKAGES = runpy.run_path(str(ROOT / "tools" / "newest_agents.py"))["PACKAGES"]


def places() -> list[str]:
    """Return the files and folders of the table."""
    rows = [row.split("|")[2] for row in GUIDE.partition("| what | where |")[2].splitlines()[2:] if row.startswith("|")]
    return [place for row in rows for place in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("place", places())
def test_each_place_of_the_table_exists_for_the_seventh_cli(place: str) -> None:
    assert (ROOT / place.replace("NAME", "copilot")).exists()


def test_each_module_that_names_the_seventh_cli_is_in_the_table() -> None:
    named = {place.replace("NAME", "copilot") for place in places()}
    sources = [*(ROOT / "pytest_gump").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    naming = {
        str(source.relative_to(ROOT)) for source in sources if "copilot" in source.read_text(encoding="utf-8").lower()
    }
    assert naming - named == {"pytest_gump/agents/shell/copilot_hook.py"}


@pytest.mark.parametrize(
    "names",
    [
        {recorded.cli for recorded in RECORDED},
        {*SUBJECTS},
        {*VOCABULARY},
        {*scenarios_faults.OVERLOAD},
        {*scenarios_bounds.SETTINGS},
        {*scenarios_commands.NOT_ALLOWED},
        {*PACKAGES},
    ],
    ids=["streams", "subjects", "vocabulary", "overload", "settings", "commands", "packages"],
)
def test_each_tested_cli_has_an_entry_in_each_list(names: set[str]) -> None:
    assert names == TESTED


def test_each_cli_has_a_page_and_rows_in_the_tables() -> None:
    reference = ROOT / "docs" / "reference"
    agents = (reference / "agents" / "README.md").read_text(encoding="utf-8")
    results = (reference / "conformance.md").read_text(encoding="utf-8")
    assert [cli for cli in FAMILIES if f"]({cli}.md)" not in agents] == []
    assert [cli for cli in FAMILIES if not (reference / "agents" / f"{cli}.md").is_file()] == []
    (head,) = re.findall(r"^\| +\| (claude .*) \|$", results, re.MULTILINE)
    assert set(head.split(" | ")) == TESTED
