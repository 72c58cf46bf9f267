"""The rules on shell commands in a prompt are true for the CLI in use."""

from __future__ import annotations

import shlex
import sys

import pytest
from pytest_gump.agents.family import FAMILIES
from pytest_gump.agents.shell.permissions import NO_SHELL, permissions
from pytest_gump.engine.attempt.permitted import gate_texts, permitted
from pytest_gump.engine.attempt.shell_rules import shell_rules
from pytest_gump.gates.tools.detect import detect
from pytest_gump.workflow.model import GateSpec

COMMANDS = (
    ("compile", "make"),
    ("coverage", "python -m coverage run -m pytest"),
    ("test", "/opt/v/bin/python -m pytest"),
)
LIMITED = ("claude", "gemini", "qwen", "opencode")
SANDBOXED = ("codex", "cursor")


def rules(cli: str, *gates: GateSpec) -> str:
    may = permitted("diff", COMMANDS, gates, ["make docs"])
    return "\n".join(shell_rules(may, FAMILIES[cli].shell, gate_texts(COMMANDS, gates)))


@pytest.mark.parametrize("cli", LIMITED)
def test_commands_that_may_run_are_named_as_people_type_them(cli: str) -> None:
    lines = rules(cli).splitlines()
    assert lines[:4] == [
        "In the shell, you may run these commands:",
        "  - with any arguments: `pytest`, `python -m pytest`, `python3 -m pytest`",
        "  - exactly as it is written here: `make` (compile)",
        "  - exactly as it is written here: `make docs`",
    ]
    assert lines[-2].startswith("  - with paths inside the current directory: `cp`, ")
    assert "/opt/v" not in rules(cli)


@pytest.mark.parametrize("cli", LIMITED)
def test_the_answer_to_a_refused_command_is_said_beforehand(cli: str) -> None:
    assert f'Every other command is refused with "{FAMILIES[cli].shell.answer}".' in rules(cli)


@pytest.mark.parametrize("cli", LIMITED)
def test_a_command_may_begin_with_cd_unless_the_cli_refuses_it(cli: str) -> None:
    assert ("begin with `cd FOLDER &&`" in rules(cli)) == (cli != "qwen")
    assert ("`cd`, " in rules(cli)) == (cli == "qwen")


@pytest.mark.parametrize("cli", LIMITED)
def test_the_commands_that_run_without_arguments_are_set_apart(cli: str) -> None:
    separate = "`wc`; without arguments of your own: `git diff`"
    assert (separate in rules(cli)) != ("`wc`, and others that only read" in rules(cli))


@pytest.mark.parametrize("cli", SANDBOXED)
def test_a_cli_with_a_sandbox_has_no_list_of_commands(cli: str) -> None:
    assert rules(cli).startswith("Every shell command may run, in a sandbox")
    assert "pytest" not in rules(cli)


def test_coverage_is_named_only_in_a_step_that_has_this_gate() -> None:
    assert "coverage" not in rules("claude")
    assert "`python -m coverage run -m pytest`" in rules("claude", GateSpec("coverage", "80%"))


@pytest.mark.parametrize("start", ["", "cd pkg && "])
def test_a_module_that_is_not_installed_is_not_named(start: str) -> None:
    python = shlex.quote(sys.executable)
    commands = (("lint", f"{start}{python} -m no_such_linter check ."), ("test", f"{start}{python} -m pytest"))
    assert dict(gate_texts(commands, ())) == {"test": f"{start}{python} -m pytest"}


def test_the_command_of_a_bash_gate_may_run() -> None:
    assert "with any arguments: `pytest`, `python -m pytest`, `python3 -m pytest`, `npm test`" in rules(
        "claude", GateSpec("bash", "npm test")
    )
    assert "exactly as it is written here: `sh check.sh`" in rules("claude", GateSpec("bash", "sh check.sh"))


def test_a_command_for_which_a_cli_has_no_rule_is_not_named() -> None:
    gate = GateSpec("bash", "sh check.sh > log")
    assert "check.sh" not in rules("qwen", gate)
    assert "`sh check.sh > log`" in rules("gemini", gate)
    assert "check.sh" not in rules("gemini", GateSpec("bash", "sh check.sh $(date)"))
    assert "check.sh" not in rules("opencode", GateSpec("bash", "sh check.sh  # all"))


def test_the_program_that_compiles_python_is_not_named() -> None:
    commands = tuple(detect(["a.py"], lambda _: b"", "/opt/bin/python").items())
    text = "\n".join(shell_rules(permitted("diff", commands, (), ()), None, commands))
    assert "bytecompile" not in text
    assert "`pytest`" in text


@pytest.mark.parametrize("cli", LIMITED)
def test_a_step_that_only_reads_has_no_shell(cli: str) -> None:
    (rule,) = shell_rules(NO_SHELL, FAMILIES[cli].shell, COMMANDS)
    assert rule == "You cannot run commands in this step. Read files with your other tools."


def test_nothing_is_said_of_a_cli_that_is_not_described() -> None:
    assert shell_rules(NO_SHELL, None) == ()
    assert shell_rules(permissions("diff", ["pytest"]), None)[-1].endswith("Other commands may be refused.")


def test_everything_runs_in_a_sandbox_of_ours() -> None:
    may = permissions("diff", [], sandboxed=True)
    assert shell_rules(may, FAMILIES["claude"].shell) == ("Every shell command may run, in a sandbox.",)
