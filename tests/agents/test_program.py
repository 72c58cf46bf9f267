"""Each CLI as a program: tested versions and where its login is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pytest_gump.agents.base import Task
from pytest_gump.agents.clis import cursor, cursor_stream
from pytest_gump.agents.family import FAMILIES
from pytest_gump.agents.program import Login, Program, Versions, read_version

ROOT = Path(__file__).parents[2]
CLAUDE = FAMILIES["claude"].program
RANGE = Program("x", "X", "see x.org", Versions("1.9.0", "1.10.2", on="2026-11-22"), Login())


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("2.1.330 (Claude Code)\n", "2.1.330"),
        ("codex-cli 0.169.0\n", "0.169.0"),
        ("v1.18.33", "1.18.33"),
        ("2026.11.01-ab12", "2026.11.01-ab12"),
        ("no idea", None),
    ],
)
def test_the_version_is_found_in_the_output_of_a_cli(output: str, version: str | None) -> None:
    assert read_version(output) == version


@pytest.mark.parametrize(
    ("version", "standing"),
    [
        ("1.9.0", "tested"),
        ("1.10.1", "tested"),
        ("1.8.99", "older"),
        ("1.10.3", "newer"),
        ("2.0", "newer"),
        (None, "unknown"),
    ],
)
def test_a_version_is_compared_with_the_tested_versions_as_numbers(version: str | None, standing: str) -> None:
    assert RANGE.standing(version) == standing


@pytest.mark.parametrize("cli", [cli for cli in FAMILIES if cli != "cursor"])
def test_all_adapters_but_one_name_their_tested_versions_and_the_date(cli: str) -> None:
    tested = FAMILIES[cli].program.tested
    assert tested is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", tested.on)
    assert FAMILIES[cli].program.standing(tested.newest) == "tested"


@pytest.mark.parametrize("cli", [cli for cli in FAMILIES if cli != "cursor"])
def test_the_conformance_suite_and_the_reference_page_name_the_newest_tested_version(cli: str) -> None:
    tested = FAMILIES[cli].program.tested
    assert tested is not None
    page = (ROOT / "docs" / "reference" / "agents" / f"{cli}.md").read_text(encoding="utf-8")
    assert re.search(rf"Tested with [a-z -]*{re.escape(tested.newest)} ", page)
    pinned = json.loads((ROOT / "tests" / "conformance" / "package.json").read_bytes())["dependencies"]
    assert [version for package, version in pinned.items() if cli in package] == [tested.newest]


def test_cursor_is_untested_in_every_version() -> None:
    assert FAMILIES["cursor"].program.tested is None
    assert FAMILIES["cursor"].program.standing("2026.11.1") == "untested"


def test_a_set_variable_is_a_login(tmp_path: Path) -> None:
    assert CLAUDE.login.found({"HOME": str(tmp_path), "ANTHROPIC_API_KEY": "sk-x"}) == "ANTHROPIC_API_KEY"


def test_the_login_file_of_the_cli_is_a_login(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".credentials.json").write_text("{}", encoding="utf-8")
    assert CLAUDE.login.found({"HOME": str(tmp_path)}) == "~/.claude/.credentials.json"


def test_a_configured_folder_is_searched_for_the_login(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("{}", encoding="utf-8")
    login = FAMILIES["codex"].program.login
    assert login.found({"HOME": "/nowhere", "CODEX_HOME": str(tmp_path)}) == f"{tmp_path}/auth.json"


def test_the_cursor_adapter_names_the_date_of_its_documentation() -> None:
    for text in (cursor.__doc__, cursor_stream.__doc__):
        assert re.search(r"document.*2026-11-22", " ".join((text or "").split()))


def test_without_a_sign_of_a_login_the_result_is_unknown(tmp_path: Path) -> None:
    assert [one.program.login.found({"HOME": str(tmp_path)}) for one in FAMILIES.values()] == [None] * len(FAMILIES)


@pytest.mark.parametrize("cli", FAMILIES)
def test_an_adapter_and_the_reader_of_its_stream_name_the_same_cli(cli: str) -> None:
    task = Task("s", None, 1, cli, "p", Path("/w"), "diff")
    assert {cli} == {FAMILIES[cli].cli, FAMILIES[cli].reads(task).CLI}
