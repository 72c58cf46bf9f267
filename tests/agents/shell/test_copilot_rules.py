"""What the rules and the hook for GitHub Copilot CLI let through. The CLI itself also checks paths and other programs."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.shell.copilot_hook import refusal
from pytest_gump.agents.shell.copilot_rules import HOOKS, PLUGIN, identifiers, plugin, shell_rules
from pytest_gump.agents.shell.permissions import NO_SHELL, Permissions, permissions

MAY = permissions("diff", ["/opt/v/bin/python -m pytest", "make lint > log.txt"], allowed=["just *"])
ALLOWED = {"exact": MAY.exact, "tools": MAY.tools, "files": MAY.files}


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("pytest", ["pytest"]),
        ("pytest -q tests", ["pytest", "pytest -q"]),
        ("python -m pytest -q", ["python", "python -m"]),
        ("npm test -- -t x", ["npm", "npm test"]),
        ("npx --no-install tsc", ["npx", "npx --no-install"]),
        ("cd web && npm run lint | tail -5", ["cd", "cd web", "npm", "npm run", "tail", "tail -5"]),
        ("A=1 B='2 3' make test; ./run.sh > log", ["make", "make test", "./run.sh"]),
        ("go test ./...\ngo vet ./...", ["go", "go test", "go", "go vet"]),
        ("'/my v/bin/python' -m pytest", []),
        ("a,b x", []),
        ("tool (x)", ["tool", "x"]),
        ("echo 'open", []),
        ("A=1", []),
        ("", []),
    ],
)
def test_each_command_of_a_line_has_its_identifiers(command: str, found: list[str]) -> None:
    assert list(identifiers(command)) == found


def test_a_step_that_writes_has_a_rule_for_each_program() -> None:
    rules = list(shell_rules(MAY))
    assert {"shell(pytest)", "shell(python)", "shell(make)", "shell(just)", "shell(rm)", "shell(timeout)"} <= set(rules)
    assert not {"shell(git)", "shell(cat)", "shell(sudo)", "shell"} & set(rules)
    assert len(rules) == len(set(rules))


def test_a_sandbox_allows_the_whole_shell() -> None:
    assert list(shell_rules(Permissions(writes=True, everything=True))) == ["shell"]
    assert "shell(pytest)" not in shell_rules(NO_SHELL)


@pytest.mark.parametrize(
    "command",
    [
        *("pytest", "pytest -x -q", "python -m pytest -q f.py::test_a", "pytest -q 2>&1 | tail -5", "pytest -q > log"),
        *("timeout 60 pytest -q", "cd pkg && pytest", "pytest; git status", "pytest -k 'a and b; c'", "just docs"),
        *("make lint > log.txt", "  make lint > log.txt ", "cd web && make lint", "if true; then pytest; fi"),
        *("mkdir -p a/b", "touch a b", "cp -r a b", "mv -f 'a b' c", "rm -rf a", "rm *.pyc", "rm -- x"),
        *("git branch", "git branch -a", "git branch --list 'a*'", "git tag -l", "git -C sub branch --show-current"),
        *("ls", "grep -n '{' f.py", "echo $PATH", "git diff", "git log -n 3 --stat", "sed -n 1p f", "", "pytest # all"),
    ],
)
def test_what_a_step_needs_is_left_to_the_cli(command: str) -> None:
    assert refusal(command, ALLOWED) is None


@pytest.mark.parametrize(
    "command",
    [
        *("python -c 'x'", "python x.py", "python", "python -m http.server", "make install", "make lint install"),
        *("timeout 5 python -c x", "timeout -s KILL 5 rm a", "ls; python x.py", "ls | python", "'py'thon -c x"),
        *("touch ~/x", "touch $HOME/x", "touch {/x,y}", "rm -rf ~", "(rm ~/x)", "! rm ~/x", "time rm ~/x", "\\rm ~/x"),
        *("cp --target-directory=/x a", "cp -t /x a", "cp -t/x a", "mv --backup=x a b", "touch -d x a"),
        *("if true; then touch ~/x; fi", "for f in ~/a; do rm $f; done", "{ rm ~/x; }", "f() { rm ~/x; }; f"),
        *("cd ~ && touch x", "cd && touch x", "cd - && touch x", "cd $D", "cd a b", "pushd ~"),
        *("A=1 pytest", "A=1", "GIT_EXTERNAL_DIFF='touch x' git diff --ext-diff", "D=/x; ls > $D/y", "ls; A+=1 ls"),
        *(
            "ls > ~/x",
            "ls >$HOME/x",
            "ls 2> {/x}",
            "ls >> `x`",
            "ls $(touch x)",
            "ls `touch x`",
            "cat <(x)",
            "ls '$(x)'",
        ),
        *(
            "git diff --output=/x",
            "git diff --outpu /x",
            "git -c core.pager=x log",
            "git grep -Ox y",
            "git log --ext-diff",
        ),
        *(
            "git branch x",
            "git branch -v x",
            "git branch -D x",
            "git tag x",
            "git -C sub branch x",
            "git branch --list -d x",
        ),
        *("touch /x/a\\\nb", "ls \\\n-l"),
        *("cat ~/.ssh/id", "head $HOME/x", "grep x ${HOME}/y", "ls # '\ntouch /x #'", "ls '", "pytest && rm -rf ~"),
    ],
)
def test_what_the_cli_does_not_see_is_refused(command: str) -> None:
    assert refusal(command, ALLOWED)


@given(st.text(alphabet="abc-=;&|<>()$`~'\"\\ \n#{}*", max_size=30))
def test_no_text_breaks_the_hook(command: str) -> None:
    assert refusal(f"rm ~/x ; {command}", ALLOWED)
    refusal(command, ALLOWED)


def hooked(call: object, may: Permissions = MAY) -> dict[str, Any]:
    """Run the hook as the CLI does."""
    (hook,) = json.loads(plugin(may)[HOOKS])["hooks"]["preToolUse"]
    done = subprocess.run(shlex.split(hook["bash"]), input=json.dumps(call), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    return answer


def test_the_plugin_runs_the_hook_without_the_package() -> None:
    assert json.loads(plugin(MAY)[PLUGIN])["hooks"] == HOOKS
    assert hooked({"toolName": "bash", "toolArgs": {"command": "pytest -q"}}) == {}
    assert hooked({"toolName": "apply_patch", "toolArgs": "*** Begin Patch"}) == {}
    refused = hooked({"toolName": "bash", "toolArgs": json.dumps({"command": "touch ~/x"})})
    assert refused["permissionDecision"] == "deny"
    assert "a path in the home folder" in refused["permissionDecisionReason"]


@pytest.mark.parametrize("call", [{}, [], "x", {"toolName": "bash"}, {"toolName": "bash", "toolArgs": "x"}])
def test_a_call_that_cannot_be_read_is_refused(call: object) -> None:
    assert hooked(call)["permissionDecision"] == "deny"
