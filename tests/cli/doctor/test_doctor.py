"""`gump doctor` with real git, a real worktree, and programs on PATH that replace the CLIs."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.family import FAMILIES

if TYPE_CHECKING:
    from tests.cli.conftest import Gump

STREAMS = Path(__file__).parents[2] / "agents" / "recorded"
KEYS = [name for one in FAMILIES.values() for name in one.program.login.keys]

ONE = """
name: one
steps:
  - name: impl
    agent: AGENT
    prompt: Do it.
    gate: [GATE]
"""


@pytest.fixture(autouse=True)
def bin_folder(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on PATH that may contain a CLI. No API key is set."""
    folder = gump.project.path.parent / f"{gump.project.path.name}-bin"
    folder.mkdir()
    for program in ("git", "env", "sh", "bash", "cat"):
        (folder / program).symlink_to(str(shutil.which(program)))
    monkeypatch.setenv("PATH", str(folder))
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    return folder


def cli(folder: Path, name: str, version: str, script: str = "exit 9", *, sandbox: str = "exit 0") -> Path:
    """Write a program that prints its version, has a sandbox, records its arguments, and otherwise runs the script.

    Return its path.
    """
    path = folder / name
    answers = f'if [ "$1" = --version ]; then echo "{version}"; exit 0; fi\nif [ "$1" = sandbox ]; then {sandbox}; fi'
    noted = f'printf "%s\\n" "$@" > "{folder}/{name}.words"; env > "{folder}/{name}.env"'
    path.write_text(f"#!/bin/sh\n{answers}\n{noted}\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def versions_of(name: str) -> str:
    """Return the versions that the adapter was tested with, and the date, as doctor shows them."""
    versions = FAMILIES[name].program.tested
    assert versions is not None
    return f"{versions} on {versions.on}"


def plays(name: str, scenario: str) -> str:
    """Return a script that prints a recorded stream and exits with its exit code."""
    folder = STREAMS / name / scenario
    code = json.loads((folder / "exit.json").read_bytes())["exit_code"]
    return f"cat > /dev/null\ncat '{folder}/stream.ndjson'\nexit {code}"


def diagnosis(gump: Gump, *words: str, code: int = 0) -> dict[str, Any]:
    found, output, errors = gump("doctor", *words, "--json")
    assert (found, errors) == (code, "")
    record: dict[str, Any] = json.loads(output)
    assert record["schema"] == 2
    assert record["ok"] is (code == 0)
    return record


def check(record: dict[str, Any], name: str) -> dict[str, str]:
    found: dict[str, str] = next(one for one in record["checks"] if one["name"] == name)
    return found


def clis(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["cli"]: one for one in record["clis"]}


# -- the machine -----------------------------------------------------------------------------------------------------


def test_versions_of_git_python_and_pytest_are_shown(gump: Gump) -> None:
    record = diagnosis(gump)
    assert {one["state"] for one in record["checks"] if not one["name"].startswith("environment of")} == {"ok"}
    assert check(record, "git")["value"].split(".")[0] == "2"
    assert check(record, "python")["value"].endswith(f"({sys.executable})")
    for name, package in {"pytest": "pytest", "plugin": "pytest-gump", "xdist": "pytest-xdist"}.items():
        assert check(record, name)["value"].startswith(f"{package} ")


def test_a_worktree_is_created_and_removed(gump: Gump) -> None:
    found = check(diagnosis(gump), "worktree")["value"]
    files = len(gump.project.git("ls-files").splitlines())
    assert found.startswith(f"created with {files} files in ")
    cache = Path(os.environ["XDG_CACHE_HOME"]) / "gump" / "worktrees"
    assert list(cache.glob("*")) == []
    assert gump.project.git("for-each-ref", "refs/gump") == ""


def test_a_worktree_that_cannot_be_created_is_a_failure(gump: Gump) -> None:
    gump.project.write({"pytest.ini": "[pytest]\ngump_worktrees = app.py\n"})
    record = diagnosis(gump, code=1)
    assert "worktree" in record["failed"]
    assert check(record, "worktree")["value"].startswith("cannot be created in ")


def test_the_git_identity_is_shown_and_optional(gump: Gump) -> None:
    assert "(optional)" in check(diagnosis(gump), "git identity")["value"]
    gump.project.git("config", "--global", "user.name", "A Person")
    gump.project.git("config", "--global", "user.email", "person@example.org")
    assert check(diagnosis(gump), "git identity")["value"] == "A Person <person@example.org>"


def test_a_missing_repository_is_a_failure_only_for_a_workflow(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = gump.project.path.parent / f"{gump.project.path.name}-plain"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert check(diagnosis(gump), "repository")["state"] == "note"
    record = diagnosis(gump, "--workflow", "tdd", code=1)
    assert record["failed"][0] == "repository"


def test_without_git_other_checks_are_skipped(gump: Gump, bin_folder: Path) -> None:
    (bin_folder / "git").unlink()
    record = diagnosis(gump, code=1)
    assert check(record, "git") == {
        "name": "git",
        "state": "failed",
        "value": "git was not found on PATH",
        "hint": "install git 2.38 or newer",
    }


def test_disabled_autoload_of_plugins_is_a_note(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    output = gump.good("doctor")
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set" in output
    assert "load the plugin explicitly: pytest -p gump ..." in output


def test_a_conftest_that_cannot_be_imported_is_an_error(gump: Gump) -> None:
    gump.project.write({"conftest.py": "import no_such_module\n"})
    result = gump.project.pytester.run(sys.executable, "-m", "pytest_gump", "doctor")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["gump: error: *conftest.py: cannot be imported: No module named 'no_such_module'"])


# -- the CLIs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "standing"), [("2.1.330 (Claude Code)", "tested"), ("2.0.9", "older"), ("3.0.0", "newer")]
)
def test_a_version_is_compared_with_the_tested_one(gump: Gump, bin_folder: Path, version: str, standing: str) -> None:
    place = cli(bin_folder, "claude", version)
    claude = clis(diagnosis(gump))["claude"]
    assert (claude["installed"], claude["path"], claude["standing"]) == (True, str(place), standing)
    assert (claude["version"], claude["tested"]) == (version.split(maxsplit=1)[0], versions_of("claude"))


def test_a_missing_cli_is_not_a_failure_and_has_an_install_hint(gump: Gump) -> None:
    codex = clis(diagnosis(gump))["codex"]
    assert (codex["installed"], codex["version"]) == (False, None)
    assert codex["problem"] == "codex (Codex) is not on PATH; npm install -g @openai/codex"


def test_a_cli_without_a_version_has_a_reason(gump: Gump, bin_folder: Path) -> None:
    path = bin_folder / "codex"
    path.write_text("#!/bin/sh\necho 'no platform package' >&2\nexit 3\n", encoding="utf-8")
    path.chmod(0o755)
    codex = clis(diagnosis(gump))["codex"]
    assert (codex["version"], codex["standing"]) == (None, "unknown")
    assert codex["problem"] == "codex --version: exit code 3: no platform package"


def test_a_sandbox_that_does_not_start_is_a_problem_and_not_a_failure(gump: Gump, bin_folder: Path) -> None:
    reason = "bwrap: execvp codex-linux-sandbox: No such file or directory"
    cli(bin_folder, "codex", "codex-cli 0.169.0", sandbox=f"echo warning; echo {reason} >&2; exit 1")
    codex = clis(diagnosis(gump))["codex"]
    assert (codex["version"], codex["standing"]) == ("0.169.0", "tested")
    assert codex["problem"].startswith(f"its commands cannot run: codex sandbox -- true: exit code 1: {reason}. ")
    output = " ".join(gump.good("doctor").split())
    assert "! codex 0.169.0, tested" in output
    assert reason in output


def test_the_sandbox_of_an_older_version_is_not_tried(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "codex", "codex-cli 0.9.0", sandbox="exit 2")
    codex = clis(diagnosis(gump))["codex"]
    assert (codex["standing"], codex["problem"]) == ("older", None)


def test_a_login_is_detected_from_a_key_or_a_file(
    gump: Gump, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in {"claude": "2.1.330", "codex": "codex-cli 0.169.0", "gemini": "0.61.0"}.items():
        cli(bin_folder, name, version)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    home = Path(os.environ["HOME"], ".codex")
    home.mkdir()
    (home / "auth.json").write_text("{}", encoding="utf-8")
    output = gump.good("doctor")
    assert f"2.1.330, tested ({versions_of('claude')}); login: ANTHROPIC_API_KEY" in output
    assert f"0.169.0, tested ({versions_of('codex')}); login: ~/.codex/auth.json" in output
    assert f"0.61.0, tested ({versions_of('gemini')}); login not checked" in output
    assert "very-secret" not in output


def test_cursor_is_marked_as_untested(gump: Gump, bin_folder: Path) -> None:
    untested = "untested: the adapter is based on documentation only"
    assert untested in gump.good("doctor")
    cli(bin_folder, "cursor-agent", "2026.11.01-abc")
    assert f"2026.11.01-abc, {untested}" in gump.good("doctor")
    assert clis(diagnosis(gump))["cursor"]["tested"] is None


# -- a workflow ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--workflow", "pair"), ("pair",)], ids=str)
def test_a_missing_cli_of_a_workflow_is_a_failure(gump: Gump, words: tuple[str, ...]) -> None:
    code, output, _ = gump("doctor", *words)
    assert code == 1
    assert output.splitlines()[-1] == ("workflow pair cannot run: agent claude-haiku, agent claude-sonnet")


def test_a_workflow_with_all_prerequisites_passes_with_its_clis_only(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330")
    record = diagnosis(gump, "--workflow", "pair")
    assert (record["workflow"], list(clis(record))) == ("pair", ["claude"])
    assert gump.good("doctor", "--workflow", "pair").splitlines()[-1] == "all prerequisites of workflow pair are met"


GATES: dict[str, tuple[str, dict[str, str], str, str]] = {
    "no-test": ("test", {}, "failed", "no test command found for this project; set gump_test *"),
    "no-lint": ("lint", {}, "note", "skipped: no lint command found for this project; set gump_lint *"),
    "not-there": ("test", {"pytest.ini": "[pytest]\ngump_test = nose --all\n"}, "failed", "command not found: nose"),
    "lint-not-there": (
        *("lint", {"pytest.ini": "[pytest]\ngump_lint = ruff check\n"}, "note"),
        "skipped: command not found: ruff",
    ),
    "passes": (
        "test",
        {"pytest.ini": "[pytest]\ngump_test = A=1 sh check\n", "check": "test $A\n"},
        "ok",
        "A=1 sh check",
    ),
    "fails": (
        *("test", {"pytest.ini": "[pytest]\ngump_test = echo 2 failed in 1s; false\n"}, "note"),
        "runs, but fails on HEAD: *",
    ),
    "no-tests": ("test", {"tests/test_none.py": "x = 1\n", "pytest.ini": "[pytest]\n"}, "note", "no tests ran"),
    "tests": ("test", {"tests/test_one.py": "def test_one(): pass\n", "pytest.ini": "[pytest]\n"}, "ok", "*1 passed*"),
}


@pytest.mark.parametrize("case", GATES)
def test_the_commands_of_gates_are_run(gump: Gump, bin_folder: Path, case: str) -> None:
    gate, files, state, value = GATES[case]
    cli(bin_folder, "claude", "2.1.330")
    gump.project.git("rm", "-q", "app.py")
    gump.project.write(files)
    gump.project.workflow("one", ONE.replace("AGENT", "claude").replace("GATE", gate))
    before = gump.project.git("status", "--porcelain", "--ignored")
    record = diagnosis(gump, "--workflow", "one", code=1 if state == "failed" else 0)
    found = check(record, f"gate {gate}")
    assert found["state"] == state
    assert fnmatch(found["value"], value), found["value"]
    assert gump.project.git("status", "--porcelain", "--ignored") == before


def test_a_failed_setup_is_reported_and_gates_are_not_run(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330")
    gump.project.write({"pytest.ini": "[pytest]\ngump_setup = no-such-installer --all\ngump_test = true\n"})
    gump.project.workflow("one", ONE.replace("AGENT", "claude").replace("GATE", "test"))
    record = diagnosis(gump, "--workflow", "one", code=1)
    assert check(record, "setup")["value"].startswith("setup failed: no-such-installer --all: exit code 127")
    assert [one["name"] for one in record["checks"] if one["name"].startswith("gate ")] == []


def test_gates_can_use_files_of_the_setup(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330")
    ini = "[pytest]\ngump_setup =\n    echo 1 > made.log\n    cat made.log > more.log\n"
    ini += 'gump_test = git init -q "$RUFF_CACHE_DIR" && cat more.log\n'
    gump.project.write({"pytest.ini": ini, ".gitignore": "*.log\n"})
    gump.project.workflow("one", ONE.replace("AGENT", "claude").replace("GATE", "test"))
    record = diagnosis(gump, "--workflow", "one")
    assert (check(record, "setup")["state"], check(record, "gate test")["state"]) == ("ok", "ok")
    assert [*Path(os.environ["XDG_CACHE_HOME"]).rglob("*.scratch")] == []


def test_agents_of_a_hook_and_of_the_ini_file_are_found(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330")
    conftest = "def pytest_gump_agents():\n    return {'mine': 'near'}\n"
    gump.project.write({"conftest.py": conftest, "pytest.ini": "[pytest]\ngump_agents = near = claude-haiku\n"})
    gump.project.workflow("one", ONE.replace("AGENT", "mine").replace("GATE", "compile"))
    assert check(diagnosis(gump, "--workflow", "one"), "agent mine")["value"] == "can start (claude)"


def test_an_unknown_workflow_is_a_usage_error(gump: Gump) -> None:
    assert "did you mean 'pair'?" in gump.bad("doctor", "--workflow", "piar", code=2)


# -- one request -----------------------------------------------------------------------------------------------------


def test_a_request_through_the_adapter_shows_model_and_cost(
    gump: Gump, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli(bin_folder, "claude", "2.1.330", plays("claude", "basic"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    [call] = diagnosis(gump, "--live", "claude-haiku")["live"]
    assert (call["agent"], call["ok"], call["model"]) == ("claude-haiku", True, "claude-sonnet-4-5")
    assert call["cost_usd"] == pytest.approx(0.014904)
    words = (bin_folder / "claude.words").read_text(encoding="utf-8")
    assert "--model\nhaiku\n" in words
    assert "very-secret" not in words
    assert "ANTHROPIC_API_KEY=sk-ant-very-secret" in (bin_folder / "claude.env").read_text(encoding="utf-8")


def test_a_request_has_the_environment_of_agents(gump: Gump, bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gump.project.write({"pytest.ini": "[pytest]\ngump_agent_env = HOUSE_PROXY\n"})
    monkeypatch.setenv("HOUSE_PROXY", "here")
    cli(bin_folder, "claude", "2.1.330", plays("claude", "basic"))
    diagnosis(gump, "--live", "claude-haiku")
    assert "HOUSE_PROXY=here" in (bin_folder / "claude.env").read_text(encoding="utf-8")


def test_live_without_a_name_calls_every_installed_cli(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330", plays("claude", "basic"))
    cli(bin_folder, "codex", "codex-cli 0.169.0", plays("codex", "basic"))
    record = diagnosis(gump, "--live")
    assert [(call["agent"], call["ok"]) for call in record["live"]] == [("claude", True), ("codex", True)]


def test_a_failed_request_shows_the_message_of_the_cli(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330", plays("claude", "no-key"))
    code, output, _ = gump("doctor", "--live", "claude")
    assert code == 1
    assert "Not logged in" in output
    assert output.splitlines()[-1].endswith("failed checks: call of claude")


def test_output_of_a_request_that_cannot_be_stored_is_not_a_timeout(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330", "exec cat /dev/zero")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        [call] = diagnosis(gump, "--live", "claude", code=1)["live"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert call["message"] == f"its output cannot be stored: {os.strerror(errno.EFBIG)}"


def test_live_with_a_workflow_calls_its_agents(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330", plays("claude", "basic"))
    record = diagnosis(gump, "--workflow", "pair", "--live")
    assert [call["agent"] for call in record["live"]] == ["claude-haiku", "claude-sonnet"]


def test_an_unknown_agent_cannot_be_called(gump: Gump) -> None:
    assert "unknown agent 'clod'" in gump.bad("doctor", "--live", "clod")


def test_no_agent_is_started_without_live(gump: Gump, bin_folder: Path) -> None:
    cli(bin_folder, "claude", "2.1.330", plays("claude", "basic"))
    gump.good("doctor")
    assert not (bin_folder / "claude.words").exists()


# -- conformance -----------------------------------------------------------------------------------------------------


def test_conformance_without_an_installed_cli(gump: Gump) -> None:
    output = gump.good("doctor", "--conformance")
    assert "no supported CLI is installed" in output


def test_conformance_reports_a_missing_cli_for_each_scenario(gump: Gump) -> None:
    code, output, _ = gump("doctor", "--conformance", "codex", "--scenario", "basic", "--json")
    [finding] = json.loads(output)["conformance"]
    assert (code, finding["cli"], finding["scenario"], finding["state"]) == (0, "codex", "basic", "not installed")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--scenario", "basic"), "--scenario needs --conformance"),
        (("one", "--workflow", "two"), "--workflow cannot be combined with WORKFLOW"),
    ],
)
def test_options_without_effect_are_refused(gump: Gump, words: tuple[str, ...], error: str) -> None:
    assert error in gump.bad("doctor", *words, code=2)


def test_conformance_of_an_unsupported_cli_is_refused(gump: Gump) -> None:
    assert "the conformance suite has no CLI 'cursor'" in gump.bad("doctor", "--conformance", "cursor")


def test_variables_that_agents_and_gates_do_not_receive_are_named(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AAA_HOME", "/opt/a")
    monkeypatch.setenv("ANDROID_HOME", "/opt/android")
    for whose, setting in {"agents": "gump_agent_env", "gates": "gump_gate_env"}.items():
        found = check(diagnosis(gump), f"environment of {whose}")
        assert found["state"] == "note"
        assert "ANDROID_HOME" in found["value"]
        assert "AAA_HOME" not in found["value"]
        assert setting in found["value"]
