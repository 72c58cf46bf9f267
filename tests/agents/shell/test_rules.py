"""Which commands the rules of an adapter let through, with models of how the CLIs compare them.

The models follow the code of Gemini CLI 0.61.0, Qwen Code 0.24.4 and OpenCode 1.18.33 for one part of a command; the
conformance scenario `commands` shows the same with the real CLIs, which also split commands into parts.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.shell.gemini_policy import shell_policy
from pytest_gump.agents.shell.opencode_rules import shell_rules
from pytest_gump.agents.shell.permissions import Permissions, permissions
from pytest_gump.agents.shell.qwen_rules import allowed_commands, refused_commands

if TYPE_CHECKING:
    from collections.abc import Callable

WORKTREE = Path("/home/user/.cache/slot")
MAY = permissions("diff", ["/opt/v/bin/python -m pytest", "make lint"], allowed=["just *"])


def gemini(command: str, may: Permissions = MAY) -> bool:
    """The highest priority decides; a redirection needs a rule that allows it."""
    arguments = f'{{\0"command":{json.dumps(command, ensure_ascii=False)}\0,\0"description":"x"\0}}'
    rules = sorted(tomllib.loads(shell_policy(may, WORKTREE))["rule"], key=lambda rule: -rule["priority"])
    found = next((rule for rule in rules if re.search(rule["argsPattern"], arguments)), {"decision": "deny"})
    redirects = ">" in command or "<" in command
    return found["decision"] == "allow" and (not redirects or bool(found.get("allowRedirection")))


def qwen(command: str, may: Permissions = MAY) -> bool:
    """A refusal takes precedence; without `*`, a rule is a beginning. Redirections are words of their own."""
    command = re.sub(r" *(>&|>>|<\(|[<>]) *", r" \1 ", command)

    def matches(rule: str) -> bool:
        pattern = rule.removeprefix("run_shell_command(").removesuffix(")")
        if "*" not in pattern:
            return command == pattern or command.startswith(f"{pattern} ")
        *before, last = pattern.split("*")
        starts = [f"{re.escape(text[:-1])}( .*)?" if text.endswith(" ") else f"{re.escape(text)}.*" for text in before]
        return re.fullmatch("".join([*starts, re.escape(last)]), command, re.DOTALL) is not None

    return not any(map(matches, refused_commands(may))) and any(map(matches, allowed_commands(may)))


def opencode(command: str, may: Permissions = MAY) -> bool:
    """The last matching pattern decides; `NAME *` also matches `NAME`; a backslash counts as a slash."""

    def matches(pattern: str) -> bool:
        regex = re.escape(pattern.replace("\\", "/")).replace(r"\*", ".*").replace(r"\?", ".")
        if regex.endswith(r"\ .*"):
            regex = f"{regex.removesuffix(chr(92) + ' .*')}( .*)?"
        return re.fullmatch(regex, command.replace("\\", "/"), re.DOTALL) is not None

    found = [decision for pattern, decision in shell_rules(may).items() if matches(pattern)]
    return found[-1] == "allow"


CLIS = {"gemini": gemini, "qwen": qwen, "opencode": opencode}
every_cli = pytest.mark.parametrize("lets", CLIS.values(), ids=CLIS)


@every_cli
@pytest.mark.parametrize(
    "command",
    [
        *("pytest", "pytest -x -q", "pytest test_f.py::test_a", "python -m pytest -q f.py", "python3 -m pytest"),
        *("/opt/v/bin/python -m pytest", "make lint", "just", "just docs"),
        *("mkdir -p a/b", "touch a/b.txt", "cp a b", "mv a/b c", "rm -r a", "rm a.py b.py"),
    ],
)
def test_what_a_step_that_writes_needs_may_run(lets: Callable[[str], bool], command: str) -> None:
    assert lets(command)


@pytest.mark.parametrize("lets", [gemini, opencode])
@pytest.mark.parametrize(
    "command",
    [
        *("ls", "ls -la src", "cat a.py", "grep -rn 'x' .", "head -5 a", "tail a", "wc -l a", "git status --short"),
        *("git diff", "git log --oneline", "pytest -q 2>&1", "pytest 2>/dev/null", "cp -r a b", f"touch {WORKTREE}/a"),
    ],
)
def test_commands_that_read_and_harmless_redirections_may_run(lets: Callable[[str], bool], command: str) -> None:
    assert lets(command)


@every_cli
@pytest.mark.parametrize(
    "command",
    [
        *(
            "pytestx",
            "pytest-evil",
            "lsof",
            "make",
            "python x.py",
            "python -m pytest_evil",
            "git",
            "gits",
        ),
        *("git diff --output=/tmp/f", "git log -p --output=f", "git show", "git push", "git status-x", "npm publish"),
        *("pytest > f", "pytest >> f", "pytest 2> f", "pytest &> f", "pytest 2>&1 > f", "pytest > f 2>&1"),
        *("pytest $(x)", "pytest `x`", 'pytest "$(x)"', "pytest <(x)", "mkdir a $(x)", "make lint > f"),
        *("rm ../a", "rm -r a/../../b", "touch ~/a", "touch ~user/a", "cp {/etc/a,b} c", "cp a -t/etc", "cp -t/etc a"),
        *("cp --target-directory=/etc a", "mv --target-directory /etc a", "mkdir a > f"),
    ],
)
def test_what_a_rule_for_a_beginning_could_let_through_is_refused(lets: Callable[[str], bool], command: str) -> None:
    assert not lets(command)


@pytest.mark.parametrize("lets", [gemini, opencode])  # Qwen Code has only rules for beginnings
def test_no_argument_is_added_to_a_command_that_runs_as_it_is_written(lets: Callable[[str], bool]) -> None:
    assert not lets("make lint publish")


@pytest.mark.parametrize("lets", [gemini, qwen])  # OpenCode itself refuses these paths
@pytest.mark.parametrize("command", ["touch /etc/a", "rm -rf /", "cp a /etc/a", "mv /etc/a b", "mkdir /home/user/x"])
def test_absolute_paths_outside_are_refused(lets: Callable[[str], bool], command: str) -> None:
    assert not lets(command)


@pytest.mark.parametrize("command", ["rm -rf ", "rm  a", "rm glob", "rm a glob", "touch  "])
def test_qwen_refuses_what_stands_for_a_variable_or_a_pattern_of_files(command: str) -> None:
    assert not qwen(command)


@pytest.mark.parametrize("command", ["rm -rf $HOME", "rm ${HOME}/a", "touch ''/etc/a", "touch \\/etc/a", 'rm ""/a'])
def test_paths_that_only_the_shell_resolves_are_refused(command: str) -> None:
    assert not gemini(command)
    assert not opencode(command)


@pytest.mark.parametrize("command", ["pytest && touch /etc/a", "pytest; x", "mkdir a && pytest", "ls | tail -3"])
def test_gemini_looks_up_the_parts_of_a_command_whose_beginning_is_allowed(command: str) -> None:
    assert gemini(command)


@pytest.mark.parametrize("command", ["X=1 pytest", "(pytest)", "touch a; x > f", "touch /etc/a && pytest"])
def test_gemini_refuses_other_beginnings_before_it_looks_up_parts(command: str) -> None:
    assert not gemini(command)


def test_gemini_is_not_misled_by_an_argument_inside_of_another() -> None:
    arguments = '{\0"additional_permissions":{"command":"pytest"}\0,\0"command":"touch /etc/a"\0}'
    rules = tomllib.loads(shell_policy(MAY, WORKTREE))["rule"]
    found = {rule["decision"] for rule in rules if re.search(rule["argsPattern"], arguments)}
    assert found == {"deny"}


DANGEROUS = (
    *(
        "sed",
        "find",
        "rg",
        "sort",
        "xargs",
        "tee",
        "env",
        "sudo",
        "curl",
        "sh",
        "bash",
        "eval",
        "git push",
        "git commit",
    ),
    *("git diff --ext-diff", "git -c", "npm publish", "make", "python", "python -c", "ln", "chmod", "dd", "install"),
)


@every_cli
@given(command=st.sampled_from(DANGEROUS), arguments=st.text(st.characters(exclude_characters="\0\x7f")))
def test_no_argument_makes_another_program_run(lets: Callable[[str], bool], command: str, arguments: str) -> None:
    assert not lets(f"{command} {arguments}")


OUTSIDE = st.sampled_from(["../x", "a/../../x", "~/x", "~root/x", "a/..", "{a,../b}"])
WORDS = st.lists(st.sampled_from(["a", "-r", "b/c.py", "-p", "-f"]), max_size=3)


@every_cli
@given(command=st.sampled_from(MAY.files), before=WORDS, path=OUTSIDE, after=WORDS)
def test_no_file_command_names_a_path_outside(
    lets: Callable[[str], bool], command: str, before: list[str], path: str, after: list[str]
) -> None:
    assert not lets(" ".join([command, *before, path, *after]))


@every_cli
@given(
    beginning=st.sampled_from([*MAY.tools, *MAY.reading]),
    text=st.text(st.characters(exclude_characters="\0\x7f")),
    sign=st.sampled_from(["$(", "`", "<(", "> /etc/a", ">/etc/a 2>&1", "2>&1 >/etc/a"]),
)
def test_no_substitution_or_redirection_is_let_through(
    lets: Callable[[str], bool], beginning: str, text: str, sign: str
) -> None:
    assert not lets(f"{beginning} {text}{sign}")


@pytest.mark.parametrize("command", ["make > log", 'sh -c "a b"', "x $(date)", "a\\b", "make test-*", "größe"])
def test_a_command_runs_as_it_is_written_whatever_it_contains(command: str) -> None:
    may = permissions("diff", [command])
    assert gemini(command, may)
    assert opencode(command, may)


@pytest.mark.parametrize("command", ["make > log", "x $(date)", "(make)"])
def test_qwen_refuses_a_command_rather_than_allow_its_form_for_all_commands(command: str) -> None:
    may = permissions("diff", [command, "pytest"])
    assert not qwen(command, may)
    assert not qwen("pytest > /etc/a", may)
    assert qwen("pytest -q", may)


@every_cli
@pytest.mark.parametrize("command", ["cd sub", "make a", "make b"])
def test_the_parts_of_a_command_may_run(lets: Callable[[str, Permissions], bool], command: str) -> None:
    assert lets(command, permissions("diff", ["cd sub && make a; make b"]))


@pytest.mark.parametrize("command", ["bash", "bash -c x", "xargs rm", "tee a", "sh", "env a", "mytool x y"])
def test_qwen_has_no_rule_for_a_part_that_runs_what_its_arguments_say(command: str) -> None:
    assert not qwen(
        command, permissions("diff", ["x | bash", "x | xargs rm", "x && sh", "x | tee a", "env x | y", 'mytool "x y"'])
    )


def test_qwen_sees_no_assignment() -> None:
    assert qwen("mytool a", permissions("diff", ["A=1 B=c/d mytool a"]))


@pytest.mark.parametrize("lets", [qwen, opencode])
def test_a_tool_may_run_with_a_time_limit(lets: Callable[[str], bool]) -> None:
    assert lets("timeout 60 pytest -q")
    assert lets("timeout 300 python -m pytest")
    assert not lets("timeout 60 touch a")
    assert not lets("timeout 5 rm pytest")
    assert not lets("timeout 60 pytest > f")


@pytest.mark.parametrize("command", ["make test-a x", "make test-a/../../b", "make x test-a"])
def test_opencode_matches_one_word_with_a_star(command: str) -> None:
    assert opencode("make test-*", permissions("diff", ["make test-*"]))
    assert not opencode(command, permissions("diff", ["make test-*"]))
    assert not opencode("clean b/* c/x y d", permissions("diff", ["clean b/* c/* d"]))


def test_gemini_looks_up_a_command_without_its_redirection() -> None:
    may = permissions("diff", ["make a > log"])
    assert gemini("make a > log", may)
    assert gemini("make a", may)
    assert not gemini("make a > other", may)


def test_opencode_lets_no_redirection_through_because_a_command_has_a_pattern_of_files() -> None:
    may = permissions("diff", ["make test-*"])
    assert opencode("make test-a", may)
    assert not opencode("make test-a > /etc/a", may)


@every_cli
def test_everything_may_run_in_a_sandbox(lets: Callable[[str, Permissions], bool]) -> None:
    may = permissions("diff", [], sandboxed=True)
    if lets is qwen:
        assert [*allowed_commands(may)] == ["run_shell_command"]
    else:
        assert lets("curl x | sh > /tmp/f", may)


@pytest.mark.parametrize("command", ["pytest -k a,run_shell_command", "a\nb"])
def test_qwen_gets_no_rule_that_it_would_split(command: str) -> None:
    assert f"run_shell_command({command})" not in [*allowed_commands(permissions("diff", [command]))]


@given(st.text(min_size=1), st.text())
def test_every_policy_for_gemini_is_valid(command: str, tool: str) -> None:
    may = Permissions(writes=True, exact=(command,), tools=(tool,), files=("rm",))
    for rule in tomllib.loads(shell_policy(may, WORKTREE))["rule"]:
        re.compile(rule["argsPattern"])


def test_gemini_takes_no_expression_of_ours_for_unsafe() -> None:
    patterns = [rule["argsPattern"] for rule in tomllib.loads(shell_policy(MAY, WORKTREE))["rule"]]
    assert not [pattern for pattern in patterns if re.search(r"\([^)]*[*+?{].*\)[*+?{]", pattern)]
    assert max(map(len, patterns)) <= 2048
