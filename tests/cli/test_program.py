"""The command line: help, usage errors, `run`, `playbook`, `config`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_gump
from jsonschema import Draft202012Validator
from pytest_gump.cli.command import SUMMARIES
from pytest_gump.cli.run import FLAGS, VALUES, to_pytest

from .conftest import gump_apart

if TYPE_CHECKING:
    from .conftest import Gump

NAMES = [*SUMMARIES]


def test_help_lists_every_command(gump: Gump) -> None:
    output = gump.good("--help")
    assert [name for name in NAMES if f"\n    {name} " in output] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(gump: Gump, name: str) -> None:
    output = gump.good(name, "--help")
    assert output.startswith(f"usage: gump {name}")
    assert f"\nexamples:\n  gump {name}" in output


def test_version(gump: Gump) -> None:
    assert gump.good("--version") == f"pytest-gump {pytest_gump.__version__}\n"


def test_help_is_shown_without_arguments(gump: Gump) -> None:
    assert gump.good().startswith("usage: gump ")


@pytest.mark.parametrize("words", [("nope",), ("playbook",), ("discard",)])
def test_wrong_usage_has_exit_code_2_and_a_message(gump: Gump, words: tuple[str, ...]) -> None:
    assert "error: " in gump.bad(*words, code=2)


def test_an_unknown_option_shows_the_usage_of_its_command(gump: Gump) -> None:
    assert gump.bad("apply", "--hepl", code=2).startswith("usage: gump apply ")


def many_runs(gump: Gump) -> list[str]:
    """Create 31 runs: one of today, and copies of it with older ids. Return their ids, the newest first."""
    gump.project.answer("first", writes={"first.py": "first = 1\n"})
    gump.project.answer("second", writes={"second.py": "second = 2\n"})
    gump.project.run("pair").assert_outcomes(passed=2)
    (run,) = gump.project.folders()
    for number in range(30):
        copy = run.path.with_name(f"20200101-1200{number:02d}-pair-{number:02x}abcd")
        shutil.copytree(run.path, copy)
        ledger = copy / "ledger.ndjson"
        ledger.write_text(ledger.read_text().replace(run.run_id, copy.name))
    return [folder.run_id for folder in gump.project.folders()]


def test_errors_about_one_of_many_runs_have_hints(gump: Gump) -> None:
    runs = many_runs(gump)
    errors = gump.bad("report", "2020", code=2)
    assert f"'2020' matches 30 runs: {runs[1]}, {runs[2]}, {runs[3]} and 27 more" in errors
    assert "gump status -n 31 lists all runs" in errors
    assert gump.good("status").splitlines()[-1] == "11 older runs: gump status -n 31"
    for typed in ("03abxd", "20200101-120003-pair-03abdc", "20200101-12003-pair-03abcd"):
        for command in ("report", "apply", "discard"):
            assert "did you mean 20200101-120003-pair-03abcd?" in gump.bad(command, typed, code=2)
    assert f"hint: the newest: {runs[0]}" in gump.bad("discard", "nosuch", code=2)


def test_gc_lists_runs_that_it_keeps_for_the_same_reason_in_one_line(gump: Gump) -> None:
    runs = many_runs(gump)
    output = gump.good("gc", "--keep-last", "1", "--dry-run")
    assert (
        f"kept: 30 runs, each passed and was not applied: {runs[1]}, {runs[2]}, {runs[3]}, .. (--json lists all)"
        in output
    )
    assert len(json.loads(gump.good("gc", "--keep-last", "1", "--dry-run", "--json"))["kept"]) == 30


def test_options_of_run_are_converted_to_those_of_the_plugin() -> None:
    words = ["spec.md", "--workflow", "tdd", "--agent=a=b", "-x", "--dry-run", "-k", "impl", "--", "--workflow"]
    assert to_pytest(words) == [
        *("spec.md", "--gump-workflow", "tdd", "--gump-agent=a=b", "-x", "--gump-dry-run", "-k", "impl"),
        *("--", "--workflow"),
    ]


def test_set_is_the_same_as_input() -> None:
    assert to_pytest(["spec.md", "--set", "a=b", "--set=c=d"]) == ["spec.md", "--gump-input", "a=b", "--gump-input=c=d"]


def test_every_option_of_run_exists_in_the_plugin(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    names = [name for name, *_ in (*VALUES, *FLAGS)]
    for name in names:
        default = config.getoption(f"gump_{name[2:].replace('-', '_')}", default="missing")
        assert default != "missing"


def test_run_has_the_exit_code_of_pytest(gump: Gump) -> None:
    project = gump.project
    project.answer("first", writes={"first.py": "first = 1\n"})
    project.answer("second", writes={"notes.txt": "hm\n"})
    project.write({"pytest.ini": "[pytest]\nfilterwarnings = error\n"})
    words = ["run", "spec.md", "--workflow", "pair", "--replay", str(project.cassette), "-q"]
    result = project.pytester.run(sys.executable, "-m", "pytest_gump", *words)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*1 failed, 1 passed*"])


def test_run_without_a_workflow_is_a_usage_error_as_in_pytest(gump: Gump) -> None:
    errors = gump.bad("run", "spec.md", code=4)
    assert errors.startswith("gump: error: gump run needs --workflow NAME\n  hint: ")


def test_playbook_lists_project_and_built_in_workflows(gump: Gump) -> None:
    rows = [line.split(maxsplit=2) for line in gump.good("playbook", "list").splitlines()]
    assert ["pair", "project", "Two changes, one after the other"] in rows
    assert ["tdd", "built-in"] in [row[:2] for row in rows]


def test_playbook_shows_a_built_in_workflow(gump: Gump) -> None:
    assert gump.good("playbook", "show", "tdd").startswith("name: tdd\n")


def test_playbook_prints_a_schema_with_the_names_of_the_project(gump: Gump) -> None:
    gump.project.write(
        {
            "pytest.ini": "[pytest]\ngump_agents =\n    fast = claude:claude-haiku-4-5\n",
            "conftest.py": "def pytest_gump_gates():\n    return {'no_todo': print}\n",
        }
    )
    schema = json.loads(gump.good("playbook", "schema"))
    Draft202012Validator.check_schema(schema)
    step = schema["$defs"]["StepKeys"]["properties"]
    assert {"fast", "claude-opus"} <= set(step["agent"]["anyOf"][0]["enum"])
    assert "The agent: `claude-opus`" in step["agent"]["description"]
    assert {"no_todo", "compile"} <= set(step["gate"]["items"]["anyOf"][0]["anyOf"][0]["enum"])
    assert {"tdd", "pair"} <= set(step["workflow"]["anyOf"][0]["enum"])
    workflow = {"name": "w", "steps": [{"name": "a", "agent": "codex:o3", "prompt": "x", "gate": ["bash: true", "x"]}]}
    assert [*Draft202012Validator(schema).iter_errors(workflow)] == []
    assert [*Draft202012Validator(schema).iter_errors({**workflow, "nope": 1})]


def test_playbook_shows_the_unchanged_file(gump: Gump) -> None:
    text = (gump.project.path / ".gump" / "workflows" / "pair.yaml").read_text()
    assert gump.good("playbook", "show", "pair") == text
    assert "did you mean 'pair'?" in gump.bad("playbook", "show", "piar", code=2)


def test_a_broken_workflow_does_not_hide_the_others(gump: Gump) -> None:
    gump.project.workflow("broken", "steps: [\n")
    output = gump.good("playbook", "list")
    assert "(not valid YAML)" in output
    assert "Two changes, one after the other" in output


def test_config_shows_the_source_of_each_setting(gump: Gump) -> None:
    gump.project.write(
        {
            "pytest.ini": "[pytest]\nfilterwarnings = error\ngump_max_items = 7\n",
            "gump.toml": "[validation]\nlint_cmd = 'ruff check'\n[gump]\nerror_chars = 99\n",
        }
    )
    settings = json.loads(gump.good("config", "--json"))["settings"]
    ini = str(gump.project.path / "pytest.ini")
    assert settings["gump_max_items"] == {"value": "7", "source": ini}
    assert settings["gump_lint"] == {"value": "ruff check", "source": "gump.toml [validation] lint_cmd"}
    assert settings["gump_error_chars"] == {"value": "99", "source": "gump.toml [gump] error_chars"}
    assert settings["gump_diff_chars"] == {"value": "3000", "source": "default"}
    assert settings["gump_test"]["source"] == "detected"
    assert settings["gump_test"]["value"].endswith("-m pytest")


def test_config_refuses_an_invalid_value(gump: Gump) -> None:
    gump.project.write({"pytest.ini": "[pytest]\ngump_max_items = many\n"})
    errors = gump.bad("config", code=2)
    assert "gump: error: gump_max_items: must be a whole number above zero, not 'many'" in errors


def test_config_works_without_autoload_of_plugins(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert "gump_max_items" in gump.good("config")


def test_config_shows_detected_commands_as_a_run_executes_them(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    gump.project.write({"pytest.ini": "[pytest]\n"})
    monkeypatch.setattr(sys, "executable", "/opt/own python/bin/python")
    settings = json.loads(gump.good("config", "--json"))["settings"]
    assert settings["gump_test"] == {"value": "'/opt/own python/bin/python' -m pytest", "source": "detected"}


def test_a_closed_pipe_is_not_an_error(passed: Gump) -> None:
    done = gump_apart(passed.project.path, "set -o pipefail; gump status | true; gump report | head -1")
    assert (done.returncode, done.stderr) == (0, b"")


def test_output_is_ascii_if_the_encoding_is_ascii(passed: Gump) -> None:
    done = gump_apart(passed.project.path, "PYTHONIOENCODING=ascii gump log second")
    assert done.returncode == 0
    assert "+ touched: *.py passed" in done.stdout.decode("ascii")


@pytest.mark.parametrize("words", [("status",), ("report",), ("log", "second")], ids=" ".join)
def test_quick_commands_import_neither_pytest_nor_git_nor_other_commands(passed: Gump, words: tuple[str, ...]) -> None:
    check = (
        "import sys; from pytest_gump.cli.program import main; main(sys.argv[1:]);"
        "print([name for name in ('pytest', 'git', 'pytest_gump.cli.gc') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, *words], cwd=passed.project.path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
