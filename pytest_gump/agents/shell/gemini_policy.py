r"""The policy of Gemini CLI for the shell in a step that writes.

The CLI compares regular expressions with the arguments of a tool as JSON, in which `\x00` surrounds each pair. The rule
with the highest priority decides. If it allows a command, the CLI parses the command and looks up each of its parts in
the same way, so a rule for a beginning does not allow a second command. A redirection needs a rule with
`allowRedirection`. The CLI drops an expression of more than 2,048 characters, and one with a repeated group.
(Read in, and tried with, version 0.61.0.)
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.agents.shell.permissions import Permissions

SHELL: Final = "run_shell_command"

_START: Final = r'\x00"command":"'
_END: Final = r'"\x00'
_AFTER_BEGINNING: Final = r'(?=[ ;|&"]|\\n)'
_HARMLESS_REDIRECTION: Final = r"[^\x00<>]*2>(?:&1|/dev/null)[^\x00<>]*"

_SUBSTITUTION: Final = r"[^\x00]*(?:\$\(|`|<\(|>\()"
_NESTED: Final = r'[^\x00]"command":"'
"""The name `command` inside of another argument."""

_REDIRECTION: Final = re.compile(r"\s*[\d&]?>>?\s*(?:&\d|[^\s&;|<>]+)")
"""The CLI looks up a part of a command without its redirections."""

_WORDS: Final = r"[\w ./+,:@%=-]"
_BEFORE_NEXT: Final = r'(?:"\x00| *&&| *\|| *;|\\n)'

_REFUSAL: Final = "This command is not allowed. The rules of the task list the allowed ones."


def shell_policy(permissions: Permissions, worktree: Path) -> str:
    """Return the policy as TOML. A command that no rule matches is refused."""
    if permissions.everything:
        return _rule(".", "allow", 600, redirection=True)
    return "\n".join(
        (_rule(_START + _SUBSTITUTION, "deny", 900), _rule(_NESTED, "deny", 900), *_allowed(permissions, worktree))
    )


def _allowed(permissions: Permissions, worktree: Path) -> Iterator[str]:
    for command in permissions.exact_parts:
        yield _rule(f"{_START}{_quoted(command)}{_END}", "allow", 950, redirection=True)
    plain = (_REDIRECTION.sub("", command) for command in permissions.exact_parts)
    for command in (*dict.fromkeys(plain), *permissions.reading_exact):
        yield _rule(f"{_START}{_quoted(command)}{_BEFORE_NEXT}", "allow", 600)
    for beginning in (*permissions.reading, *permissions.tools):
        for form in (_quoted(beginning), f"timeout [0-9]+ {_quoted(beginning)}"):
            start = f"{_START}{form}{_AFTER_BEGINNING}"
            yield _rule(start, "allow", 600)
            yield _rule(f"{start}{_HARMLESS_REDIRECTION}{_END}", "allow", 700, redirection=True)
    if permissions.files:
        yield _rule(_file_commands((*permissions.files, "cd"), worktree), "allow", 600)


def _file_commands(commands: tuple[str, ...], worktree: Path) -> str:
    """Return an expression for file commands whose paths are inside the worktree, and whose options hold no path."""
    outside = rf"{_WORDS}*(?:\.\.| (?!{_quoted(str(worktree))}/)/|=/| -\w*t| --)"
    return f"{_START}(?:{'|'.join(commands)})(?= )(?!{outside}){_WORDS}+{_BEFORE_NEXT}"


def _quoted(text: str) -> str:
    """Return an expression for a text as it is in JSON."""
    return re.escape(json.dumps(text, ensure_ascii=False)[1:-1])


def _rule(pattern: str, decision: str, priority: int, *, redirection: bool = False) -> str:
    lines = [
        "[[rule]]",
        f'toolName = "{SHELL}"',
        f"argsPattern = {_toml(pattern)}",
        f'decision = "{decision}"',
        f"priority = {priority}",
        *(["allowRedirection = true"] if redirection else []),
        *([f"denyMessage = {_toml(_REFUSAL)}"] if decision == "deny" else []),
    ]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
