"""The hook that GitHub Copilot CLI runs before each tool call; it refuses commands that the CLI's rules let through.

A rule of the CLI is only the name of a program, and the CLI does not see every path. The hook therefore checks the
arguments. It can only refuse a command that the CLI would run.

It runs as `python copilot_hook.py ALLOWED` without the package, because it starts for each tool call.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Final

    Allowed = Mapping[str, Sequence[str]]
    """`exact`, `tools` and `files` of the permissions."""

OPERATORS: Final = frozenset("();<>|&\n")
KEYWORDS: Final = frozenset({"if", "then", "elif", "else", "while", "until", "do", "time", "!", "{"})
ASSIGNMENT: Final = re.compile(r"\w+\+?=.*", re.DOTALL)

_SUBSTITUTION: Final = re.compile(r"\$\(|`|[<>]\(")
_COMMENT: Final = re.compile(r"(?:^|[\s;&|(])#.*\n")
"""A quote in a comment would hide the next line."""
_UNSEEN: Final = re.compile(r"[$~{`]")
"""The CLI does not see a path in a word with one of these characters."""
_HOME: Final = re.compile(r"~|\$\{?HOME\b")
"""Beginning of a path in the home folder."""
_SAFE_OPTION: Final = re.compile(r"-[rRafpvn]+|--")
"""Other options of commands for files may contain a path."""
_GIT: Final = ("--ou", "--ext", "--op", "--textc", "--no-index", "-c", "-O", "--exec-path")
"""Beginnings of options with which a harmless command of git writes or starts a program; it accepts abbreviations."""
_GIT_LISTS: Final = frozenset(
    {"-a", "-r", "-v", "-vv", "-l", "--all", "--remotes", "--list", "--show-current", "--contains", "--merged"}
    | {"--no-merged", "--no-contains", "--points-at", "--sort", "--format", "--column", "--no-color"}
)
"""Options with which `git branch` and `git tag` only list."""
_TIME: Final = re.compile(r"\d+[smh]?")


def refusal(command: str, allowed: Allowed) -> str | None:
    """Return why a command is refused; None if the CLI shall decide."""
    exact = [text.strip() for text in allowed["exact"]]
    if command.strip() in exact:
        return None
    if "\\\n" in command:
        return "a line that continues on the next one"
    if _SUBSTITUTION.search(command):
        return "a substitution"
    if _COMMENT.search(command):
        return "a comment before the end"
    try:
        parts = list(commands(command))
        known = [argv for text in exact for argv in commands(text)]
    except ValueError:
        return "it cannot be parsed"
    tools = [shlex.split(tool) for tool in allowed["tools"]]
    reasons = (_refused_part(argv, targets, tools, known, allowed["files"]) for argv, targets in parts)
    return next(filter(None, reasons), None)


def commands(line: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words and the targets of redirections of each command in a line.

    Raises:
        ValueError: a quote is not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="".join(OPERATORS))
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    argv: list[str] = []
    targets: list[str] = []
    redirects = False
    for word in (*lexer, ";"):
        if word and set(word) <= OPERATORS:
            redirects = bool(set(word) & set("<>"))
            if not redirects:
                yield argv, targets
                argv, targets = [], []
        elif redirects:
            targets.append(word)
            redirects = False
        elif argv or word not in KEYWORDS:
            argv.append(word)


def _refused_part(
    argv: list[str],
    targets: list[str],
    tools: list[list[str]],
    known: list[tuple[list[str], list[str]]],
    files: Sequence[str],
) -> str | None:
    if any(map(_UNSEEN.search, targets)):
        return "a redirection to a path that cannot be checked"
    if not argv or argv in (exact for exact, _ in known):
        return None
    if ASSIGNMENT.fullmatch(argv[0]):
        return "an assignment"
    if argv[0] == "timeout" and len(argv) > 2 and _TIME.fullmatch(argv[1]):
        argv = argv[2:]
    return _refused_command(argv, tools, [exact for exact, _ in known], files)


def _refused_command(
    argv: list[str], tools: list[list[str]], known: list[list[str]], files: Sequence[str]
) -> str | None:
    program, arguments = argv[0], argv[1:]
    if program in {"cd", "pushd"}:
        return (
            None
            if len(arguments) == 1 and not re.search(r"[$~{`]|^-", arguments[0])
            else "a folder that cannot be checked"
        )
    if any(map(_HOME.match, arguments)):
        return "a path in the home folder"
    if program in files:
        return next((f"the argument {word!r}" for word in arguments if not _is_safe(word)), None)
    if program == "git":
        return _refused_git(arguments)
    guarded = {tool[0] for tool in tools} | {exact[0] for exact in known if exact} | {"timeout"}
    if program not in guarded or any(argv[: len(tool)] == tool for tool in tools):
        return None
    return f"{program!r} with other arguments"


def _refused_git(arguments: list[str]) -> str | None:
    if option := next((word for word in arguments if word.startswith(_GIT)), None):
        return f"the option {option!r}"
    names = [word for word in arguments if not word.startswith("-")]
    if "-C" in arguments:
        del names[:1]
    if names[:1] in (["branch"], ["tag"]):
        options = {word.partition("=")[0] for word in arguments if word.startswith("-")} - {"-C"}
        if options - _GIT_LISTS or (names[1:] and options <= {"-a", "-r", "-v", "-vv"}):
            return "git with a change of branches or tags"
    return None


def _is_safe(word: str) -> bool:
    return _SAFE_OPTION.fullmatch(word) is not None if word.startswith("-") else not _UNSEEN.search(word)


def _decide(call: Mapping[str, Any], allowed: Allowed) -> str | None:
    """Return why a tool call is refused. Arguments are an object, or its text in JSON."""
    if call["toolName"] != "bash":
        return None
    arguments = call["toolArgs"]
    return refusal((json.loads(arguments) if isinstance(arguments, str) else arguments)["command"], allowed)


def main() -> None:
    try:
        why = _decide(json.load(sys.stdin), json.loads(sys.argv[1]))
    except (ValueError, KeyError, TypeError):
        why = "it cannot be checked"
    if why is not None:
        reason = f"This command is not allowed: {why}. The rules of the task list the allowed commands."
        json.dump({"permissionDecision": "deny", "permissionDecisionReason": reason}, sys.stdout)


if __name__ == "__main__":
    main()
