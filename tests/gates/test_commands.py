from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest
from pytest_gump.gates.base import CommandOutcome, GateResult
from pytest_gump.gates.commands import read_end
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.gates.tools.detect import detect

from tests.gates.gate_kit import gate_context

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = shlex.quote(sys.executable)
PYTEST = f"{PYTHON} -m pytest -p no:cacheprovider"


def end(exit_code: int | None, output: str = "", error: str | None = None) -> CommandOutcome:
    return CommandOutcome(exit_code, output, None, 0.1, error)


def bash(command: str, tmp_path: Path, timeout_s: float = 60.0) -> GateResult:
    return BUILTIN["bash"](command, gate_context(tmp_path, timeout_s=timeout_s))


def test_exit_code_zero_passes(tmp_path: Path) -> None:
    result = bash("echo fine", tmp_path)
    assert (result.status, result.summary, result.exit_code) == ("passed", "fine", 0)
    assert result.output == ""


def test_any_other_exit_code_fails_with_the_output(tmp_path: Path) -> None:
    result = bash("echo out; echo err >&2; exit 3", tmp_path)
    assert (result.status, result.summary, result.exit_code) == ("failed", "err", 3)
    assert result.output == "out\nerr"
    assert result.command == "echo out; echo err >&2; exit 3"
    assert result.output_file == "1-bash.txt"


def test_the_summary_without_output_is_the_exit_code(tmp_path: Path) -> None:
    assert bash("exit 7", tmp_path).summary == "exit code 7"


def test_a_missing_command_is_an_error(tmp_path: Path) -> None:
    result = bash("no-such-tool --version", tmp_path)
    assert (result.status, result.summary) == ("error", "command not found: no-such-tool")


def test_a_file_that_is_not_executable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    result = bash("./run", tmp_path)
    assert result.status == "error"
    assert result.summary.startswith("the command could not be started (exit code 126)")


def test_a_timeout_is_an_error(tmp_path: Path) -> None:
    result = bash("sleep 20", tmp_path, timeout_s=0.2)
    assert (result.status, result.summary, result.exit_code) == ("error", "timed out after 0.2s", None)


def test_a_signal_is_an_error(tmp_path: Path) -> None:
    assert bash("kill -9 $$", tmp_path).summary == "killed by signal 9"


def test_bash_needs_a_command(tmp_path: Path) -> None:
    assert BUILTIN["bash"](None, gate_context(tmp_path)).status == "error"
    assert BUILTIN["bash"]("  ", gate_context(tmp_path)).status == "error"


@pytest.mark.parametrize(
    ("gate", "status"), [("compile", "error"), ("test", "error"), ("lint", "skipped"), ("coverage", "skipped")]
)
def test_no_command_is_an_error_unless_it_is_optional(gate: str, status: str, tmp_path: Path) -> None:
    result = BUILTIN[gate]("80" if gate == "coverage" else None, gate_context(tmp_path))
    assert result.status == status
    assert f"set gump_{gate}" in result.summary


def test_a_missing_linter_is_skipped_with_a_reason(tmp_path: Path) -> None:
    result = BUILTIN["lint"](None, gate_context(tmp_path, commands={"lint": "no-such-linter ."}))
    assert (result.status, result.summary) == ("skipped", "command not found: no-such-linter")


def test_a_missing_module_of_a_linter_is_skipped(tmp_path: Path) -> None:
    result = BUILTIN["lint"](None, gate_context(tmp_path, commands={"lint": f"{PYTHON} -I -S -m ruff check ."}))
    assert (result.status, result.summary) == ("skipped", "ruff is not installed")


def test_a_missing_test_runner_is_an_error(tmp_path: Path) -> None:
    result = BUILTIN["test"](None, gate_context(tmp_path, commands={"test": f"{PYTHON} -I -S -m pytest"}))
    assert (result.status, result.summary) == ("error", "pytest is not installed")


def test_a_missing_module_of_the_project_is_a_failure(tmp_path: Path) -> None:
    assert bash(f"{PYTHON} -m shop.cli", tmp_path).status == "failed"


@pytest.mark.parametrize(
    ("exit_code", "output", "optional", "status", "summary"),
    [
        (127, "sh: 1: eslint: not found\n", True, "skipped", "command not found: eslint"),
        (127, "/bin/sh: line 1: eslint: command not found\n", False, "error", "command not found: eslint"),
        (127, "/usr/bin/env: ‘node’: No such file or directory\n", False, "error", "command not found: node"),
        (127, "quiet\n", False, "error", "the command could not be started (exit code 127): quiet"),
        (2, "make: golangci-lint: No such file or directory\nmake: *** [Makefile:2: lint] Error 127\n", True, "skipped", None),
        (101, "error: no such command: `clippy`\n", True, "skipped", "command not found: clippy"),
        (1, "> lint\n\nsh: 1: eslint: not found\n ELIFECYCLE  Command failed.\n", True, "skipped", "command not found: eslint"),
        (1, "sh: 1: helper: not found\n=== 1 failed in 0.1s ===\n", False, "failed", "1 failed"),
        (1, "the page says: command not found\n", False, "failed", None),
        (4, "ERROR: usage: __main__.py [options]\n__main__.py: error: unrecognized arguments: --cov\n", True, "skipped", "pytest-cov is not installed"),
        (4, "ERROR: usage: x\nx: error: unrecognized arguments: --foo\n", False, "error", None),
        (4, "ImportError while loading conftest '/w/conftest.py'.\n", False, "failed", None),
        (4, "ERROR: file or directory not found: tests/test_x.py\n\n=== no tests ran in 0.00s ===", False, "failed", None),
        (3, "INTERNALERROR> Traceback\nINTERNALERROR> ValueError: x\n", False, "error", "pytest could not run: INTERNALERROR> ValueError: x"),
        (3, "INTERNALERROR> Traceback\nINTERNALERROR> SystemExit: 0\n", False, "failed", "code of the project ended pytest: SystemExit: 0"),
        (3, 'Error while loading plugin "pytest11".\nModuleNotFoundError: No module named \'x\'\n', False, "error", None),
        (3, "three problems\n", False, "failed", "three problems"),
        (5, "=== no tests ran in 0.00s ===\n", False, "failed", "no tests ran"),
        (137, "Killed\n", False, "error", None),
    ],
)  # fmt: skip
def test_a_failure_differs_from_a_check_that_could_not_run(
    exit_code: int, output: str, *, optional: bool, status: str, summary: str | None
) -> None:
    reading = read_end(end(exit_code, output), optional=optional)
    assert reading.status == status
    assert summary is None or reading.summary == summary


def test_repeated_output_is_shown_once_within_the_limit(tmp_path: Path) -> None:
    context = gate_context(tmp_path, output_chars=300)
    result = BUILTIN["bash"]("for i in $(seq 99); do echo same; done; seq 1000; exit 1", context)
    assert "... the line above came 99 times ..." in result.output
    assert len(result.output) < 400
    assert result.output.endswith("1000")


def test_control_sequences_are_removed_from_the_output(tmp_path: Path) -> None:
    assert bash(r"printf '\033[31mred\033[0m\n'; exit 1", tmp_path).output == "red"


@pytest.mark.parametrize(
    ("test_file", "status", "summary"),
    [
        ("def test_a(): pass\ndef test_b(): assert 1 == 2\n", "failed", "1 failed, 1 passed"),
        ("def test_a(): pass\n", "passed", "1 passed"),
        ("import not_written_yet\n", "failed", "1 error during collection"),
        ("x = 1\n", "failed", "no tests ran"),
    ],
)
def test_a_real_pytest_is_read(
    test_file: str, status: str, summary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # installed plugins take half of the start of a session
    (tmp_path / "test_it.py").write_text(test_file)
    result = BUILTIN["test"](None, gate_context(tmp_path, commands={"test": PYTEST}))
    assert (result.status, result.summary) == (status, summary)


def test_a_conftest_that_cannot_be_imported_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import not_written_yet\n")
    result = BUILTIN["test"](None, gate_context(tmp_path, commands={"test": PYTEST}))
    assert result.status == "failed"
    assert result.summary.startswith("ImportError while loading conftest")


def test_the_gates_of_a_detected_python_project_run_its_tools(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[tool.ruff.lint]\nselect = ['F401']\n",
        "src/shop.py": "import os\n",
        "tests/test_shop.py": "import shop\ndef test_x(): assert shop\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    commands = detect(files, lambda name: files[name].encode(), sys.executable)
    context = gate_context(tmp_path, commands=commands)
    results = {gate: BUILTIN[gate](None, context) for gate in ("compile", "lint", "test")}
    assert {gate: (result.status, result.summary) for gate, result in results.items()} == {
        "compile": ("passed", "2 Python files compile"),
        "lint": ("failed", "Found 1 error"),
        "test": ("passed", "1 passed"),
    }


@pytest.mark.parametrize("gate", ["compile", "test", "lint", "tests_found"])
def test_a_gate_without_arguments_refuses_one(gate: str, tmp_path: Path) -> None:
    assert BUILTIN[gate]("fast", gate_context(tmp_path)).status == "error"


def test_compile_is_skipped_if_the_language_has_nothing_to_compile(tmp_path: Path) -> None:
    found = detect({"package.json"}, lambda _: b'{"scripts": {"test": "node --test"}}', PYTHON)
    result = BUILTIN["compile"](None, gate_context(tmp_path, commands=found))
    assert (result.status, result.summary) == (
        "skipped",
        "no compile command found for this project; set gump_compile in the ini file or compile in the table [gump] of gump.toml",
    )


@pytest.mark.parametrize("kind", ["compile", "test"])
def test_a_project_of_an_unknown_language_cannot_be_checked(kind: str, tmp_path: Path) -> None:
    assert BUILTIN[kind](None, gate_context(tmp_path)).status == "error"
