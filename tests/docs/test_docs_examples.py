"""The examples and tables of the documentation match the code."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, get_args

import pytest
import yaml
from pytest_gump.agents import registry as agents
from pytest_gump.cli.program import make_parser
from pytest_gump.gates.base import GateResult
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.gates.view import StepView
from pytest_gump.order import Outcome, ToolUse
from pytest_gump.reporters.junit import step_details, step_properties, suite_properties
from pytest_gump.settings.settings import INI_OPTIONS
from pytest_gump.workflow import keys
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.model import VALIDATE, OutputMode

from tests.engine.reporting.test_report_data import PASSED, run
from tests.workflow.test_schema import mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LANGUAGE = (DOCS / "reference" / "language.md").read_text(encoding="utf-8")
OPTIONS = (DOCS / "reference" / "options.md").read_text(encoding="utf-8")
OUTCOMES = (DOCS / "reference" / "outcomes.md").read_text(encoding="utf-8")


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def yaml_blocks() -> Iterator[tuple[str, str]]:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT)}:{line}", match[1]


def first_column(text: str, heading: str) -> list[str]:
    """Return the text in backticks in the first column of the first table after a heading."""
    table = text.partition(f"{heading}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    rows = [line.replace("\\|", "/") for line in table.splitlines()[2:]]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.mark.parametrize(("place", "block"), list(yaml_blocks()), ids=[place for place, _ in yaml_blocks()])
def test_each_workflow_in_the_docs_loads(place: str, block: str, tmp_path: Path) -> None:
    whole = block if block.startswith("name:") else f"name: fragment\nsteps:\n{indent(block, '  ')}"
    for _, other in yaml_blocks():
        if name := re.match(r"name: (review|summarise|explain)$", other, re.MULTILINE):  # those that others call
            path = tmp_path / ".gump" / "workflows" / f"{name[1]}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(other, encoding="utf-8")
    found = Found(path=None, source="file", name=place, text=whole)
    loaded = load_workflow(found, gates=["no_breakpoint"], agents=agents.problem, project=tmp_path)
    assert loaded.workflow.steps
    assert not mistakes(yaml.safe_load(whole))


def test_each_option_of_the_plugin_is_in_the_options_table(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    help_text = pytester.runpytest_inprocess("--help").stdout.str()
    assert config.pluginmanager.hasplugin("gump")
    documented = {word.split()[0] for word in first_column(OPTIONS, "## Command line")}
    assert documented == set(re.findall(r"^\s+(--gump-[a-z-]+)", help_text, re.MULTILINE))


def test_each_command_and_its_options_are_in_the_commands_table() -> None:
    """The options of `gump run` are those of pytest, which have their own table."""
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    documented = first_column(text, "# The gump command")
    commands = next(group for group in make_parser()._actions if isinstance(group, argparse._SubParsersAction))
    for name, parser in commands.choices.items():
        usages = [usage for usage in documented if usage.split()[1] == name]
        flags = set(re.findall(r"--?[a-z][a-z-]*", " ".join(usages), re.ASCII))
        expected = {max(action.option_strings, key=len) for action in parser._actions if action.option_strings}
        assert usages, name
        assert name == "run" or flags == expected - {"--help"}, name


def shell_lines(program: str) -> list[list[str]]:
    """Return the arguments of all command lines of a program on the pages, without comments and pipes."""
    return [
        shlex.split(re.split(r" [|>] ", line)[0], comments=True)[1:]
        for page in pages()
        for line in re.findall(rf"^\$ ({program} .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def test_each_gump_command_line_in_the_docs_is_valid() -> None:
    words = [words for words in shell_lines("gump") if words[0] not in {"run", "--version"}]
    assert len(words) > 20
    refused = [line for line in words if not is_valid(line)]
    assert not refused


def is_valid(words: list[str]) -> bool:
    try:
        make_parser().parse_args(words)
    except SystemExit:
        return False
    return True


def test_each_pytest_command_line_in_the_docs_has_existing_options(pytester: pytest.Pytester) -> None:
    known = set(re.findall(r"--gump-[a-z-]+", pytester.runpytest_inprocess("--help").stdout.str()))
    shown = {flag for words in shell_lines("pytest") for word in words for flag in re.findall(r"^--gump-[a-z-]+", word)}
    assert len(shown) > 8
    assert shown <= known


def test_each_ini_setting_is_in_the_settings_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(gump_\w+)` \|([^|]*)\|", OPTIONS, re.MULTILINE))
    defaults = {name: cell.strip().strip("`") for name, cell in rows.items()}
    expected = {option.name: option.default for option in INI_OPTIONS}
    assert list(defaults) == list(expected)
    assert defaults == expected | {"gump_keep_ignored": "dependency and cache folders"}


def test_each_outcome_is_in_the_outcomes_table() -> None:
    assert sorted(first_column(OUTCOMES, "# Outcomes")) == sorted(Outcome)


def test_each_built_in_gate_is_in_the_gates_table() -> None:
    documented = {word.partition(":")[0] for word in first_column(LANGUAGE, "## Gates")} - {"any other name"}
    assert documented == {*BUILTIN, VALIDATE}


def test_each_output_mode_is_in_the_output_table() -> None:
    assert first_column(LANGUAGE, "## Output modes") == list(get_args(OutputMode))


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("## Keys of the file", "WorkflowKeys"),
        ("## Keys of a step", "StepKeys"),
        ("## Guards and budgets", "GuardKeys"),
        ("### Inputs", "InputKeys"),
        ("## Validators", "ValidateKeys"),
    ],
)
def test_each_key_is_in_its_table(heading: str, model: str) -> None:
    assert set(first_column(LANGUAGE, heading)) == set(keys.keys(getattr(keys, model)))


def test_each_attribute_of_the_step_view_is_in_the_gate_guide() -> None:
    guide = (DOCS / "how-to" / "add-a-gate.md").read_text(encoding="utf-8")
    attributes = set(StepView.__dataclass_fields__)
    assert set(re.findall(r"^\| `step\.(\w+)`", guide, re.MULTILINE)) == attributes


def test_each_junit_property_is_in_the_ci_guide() -> None:
    lint = GateResult("lint", "skipped", "ruff is not installed")
    result = replace(
        PASSED, snapshot="c0ffee", no_change="it was there", gates=(lint,), tool_use=ToolUse(first_write_s=1.0)
    )
    record = run([("impl", "first", "passed", result)])
    record.reused, record.resumed, record.origin = frozenset({1}), 1, "an earlier one"
    step = [*step_properties(record, record.steps["impl"]), *step_details(record.steps["impl"])]
    guide = (DOCS / "how-to" / "run-in-ci.md").read_text(encoding="utf-8")
    documented = re.findall(r"`(gump\.[a-z_*]+)`", guide.partition("\n## JUnit\n")[2].partition("\n## ")[0])
    names = {name for name, _ in [*step, *suite_properties(record)]}
    assert [name for name in names if not any(fnmatch(name, one) for one in documented)] == []
    assert [one for one in documented if not any(fnmatch(name, one) for name in names)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_have_a_target(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if not has_target(page, target)]
    assert not missing


def has_target(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if not file.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8") if anchor else "", re.MULTILINE)
    return not anchor or anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
