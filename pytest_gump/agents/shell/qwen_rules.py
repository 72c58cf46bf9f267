"""The rules of Qwen Code for shell commands.

The CLI splits a command at `;`, `&`, `|` and line breaks outside of quotes. Then it removes assignments at the
beginning, quotes and comments from each part, replaces each `$NAME` by nothing and each pattern of files by the word
`glob`, and separates all words with one space. A rule without `*` matches the beginning of this text; in other rules,
`*` matches any text. A refusal takes precedence. (Read in, and tried with, version 0.24.4.)

Not refused, because no rule sees it: an assignment before an allowed command, and a second line that follows an
apostrophe in a comment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.shell.permissions import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.agents.shell.permissions import Permissions

TOOL: Final = "run_shell_command"

_SUBSTITUTIONS: Final = ("*$*", "*`*", "*(*")
# Only `>&` is a word of its own, so `2>&1` becomes `2 >& 1`. It could also be followed by a file.
_REDIRECTIONS: Final = ("*> *", "*>", "*>& */*", "*>& *~*")

NO_RULE_WITH: Final = (",", "\n", "$", "`", "(", ">", "'", '"', "\\", "*", "?", "[", "{", "#")
"""A rule with one of these would have no effect, or a wrong one: the CLI splits the option at commas."""

TIMES: Final = (10, 20, 30, 60, 90, 120, 180, 300, 600)
"""Durations for `timeout` that have a rule, in seconds. In a pattern, `*` would also match another command."""

_STARTERS: Final = frozenset({"bash", "env", "exec", "node", "perl", "python", "python3", "ruby", "sh", "tee", "xargs"})
"""Programs that run or write what further arguments say. As a part of a command, they have no rule."""

_ASSIGNMENTS: Final = re.compile(r"(?:\w+=\S*\s+)+(?=\S)")

_OUTSIDE: Final = ("* /*", "*..*", "*~*", "*{*", "*  *", "* glob *", "*>*", "*<*")
"""Arguments of file commands that may name files outside of the worktree; two spaces stand around a variable."""

_WITH_TARGET: Final = frozenset({"cp", "mv"})
"""Commands with options that contain a path."""


def allowed_commands(permissions: Permissions) -> Iterator[str]:
    if permissions.everything:
        yield TOOL
        return
    timed = (f"timeout {time} {tool}" for tool in permissions.tools for time in TIMES)
    for command in (*_exact(permissions), *permissions.tools, *timed, *permissions.files):
        if not any(sign in command for sign in NO_RULE_WITH):
            yield f"{TOOL}({command})"


def _exact(permissions: Permissions) -> Iterator[str]:
    """Yield the commands that run as they are written, without assignments: part by part, as the CLI compares them."""
    for command in permissions.exact:
        own = [_ASSIGNMENTS.sub("", part) for part in parts(command)]
        yield from (part for part in own if len(own) == 1 or part.split()[0] not in _STARTERS)


def refused_commands(permissions: Permissions) -> Iterator[str]:
    """Yield rules against dangerous text. They also refuse a command with such text that may run as it is written."""
    if permissions.everything:
        return
    patterns = [*_SUBSTITUTIONS, *_REDIRECTIONS]
    for command in permissions.files:
        patterns += [f"{command} {pattern}" for pattern in _OUTSIDE]
        patterns += [f"{command} * -*"] if command in _WITH_TARGET else []
    yield from (f"{TOOL}({pattern})" for pattern in patterns)
