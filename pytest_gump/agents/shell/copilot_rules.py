"""The rules of GitHub Copilot CLI for shell commands.

The CLI parses a line and checks each command in it, by an identifier: the program, and for some programs (`git`, `npm`,
`go`, `cargo`, ...) also the next word. A rule is such an identifier; it says nothing about arguments. Commands that the
CLI knows to be harmless need no rule. In addition, it refuses words that are paths outside of the worktree, but it does
not see a path in `~/file`, `$NAME/file`, `{/a,/b}/file` and `--option=/file`. (Tried with version 1.0.102; it writes
the identifiers to the conversation's `events.jsonl`.)

So the rule for `python -m pytest` is `python`. A plugin with a hook refuses other arguments, and paths that the CLI
does not see.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.shell import copilot_hook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.agents.shell.permissions import Permissions

PLUGIN: Final = "plugin.json"
HOOKS: Final = "hooks.json"

_WORD: Final = re.compile(r"[\w./@+-]+")
"""A word that can be part of a rule."""
_WAIT_S: Final = 30


def shell_rules(permissions: Permissions) -> Iterator[str]:
    """Yield arguments of `--allow-tool`, each once."""
    if permissions.everything:
        yield "shell"
        return
    commands = (*permissions.exact, *permissions.tools, *permissions.files, "timeout")
    rules = (identifier for command in commands for identifier in identifiers(command))
    yield from (f"shell({identifier})" for identifier in dict.fromkeys(rules))


def identifiers(command: str) -> Iterator[str]:
    """Yield the possible identifiers of each command in a line: the program, and the program with the next word.

    The CLI compares whole identifiers, so one of the two matches nothing.
    """
    try:
        parts = list(copilot_hook.commands(command))
    except ValueError:  # an open quote
        return
    for argv, _ in parts:
        while argv and copilot_hook.ASSIGNMENT.fullmatch(argv[0]):
            del argv[0]
        if argv and _WORD.fullmatch(argv[0]):
            yield argv[0]
            if len(argv) > 1 and _WORD.fullmatch(argv[1]):
                yield f"{argv[0]} {argv[1]}"


def plugin(permissions: Permissions) -> dict[str, str]:
    """Return the files of a plugin that refuses what the rules let through, by name."""
    allowed = {"exact": permissions.exact, "tools": permissions.tools, "files": permissions.files}
    argv = (sys.executable, "-I", "-S", copilot_hook.__file__, json.dumps(allowed))
    hook = {"type": "command", "bash": shlex.join(argv), "timeoutSec": _WAIT_S}
    about = {"name": "pytest-gump", "version": "1.0.0", "description": "Permissions of a step", "hooks": HOOKS}
    return {PLUGIN: json.dumps(about), HOOKS: json.dumps({"version": 1, "hooks": {"preToolUse": [hook]}})}
