"""The rules of OpenCode for shell commands.

The CLI parses a command and looks up each part; the last matching pattern decides. `*` matches any text, and `NAME *`
also matches `NAME`. A part includes its redirections, so patterns with `>` refuse them. For commands that name files,
the CLI refuses paths outside of the worktree by itself, except those that the patterns of `_UNCHECKED` refuse.
(Read in, and tried with, version 1.18.33.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.agents.shell.permissions import Permissions

Rule = tuple[str, str]
"""A pattern, and `allow` or `deny`."""

_DANGEROUS: Final = ("*>*", "*<(*", "*$(*", "*`*")
"""Redirections and substitutions. They also match in quotes."""

_HARMLESS_ENDS: Final = ("2>&1", "2>/dev/null")

_UNCHECKED: Final = ("*$*", "*{*", "*..*", "*~*", "*'*", '*"*', "*//*")
"""Paths that the CLI does not resolve. It replaces each backslash by a slash before it compares."""

_TIMES: Final = ("?", "??", "???")
"""Patterns of durations for `timeout`. A longer one would also match `5 rm`."""

_HARMLESS_OPTIONS: Final = {"cp": ("-r", "-R", "-a", "-f"), "mv": ("-f",)}
"""Other options of these commands can contain a path."""


def shell_rules(permissions: Permissions) -> dict[str, str]:
    """Return the decision for each pattern, in the order of their precedence."""
    rules: dict[str, str] = {}
    for pattern, decision in _rules(permissions):
        rules.pop(pattern, None)  # a pattern that is repeated moves to the end
        rules[pattern] = decision
    return rules


def _rules(permissions: Permissions) -> Iterator[Rule]:
    if permissions.everything:
        yield "*", "allow"
        return
    yield "*", "deny"
    for command in permissions.exact_parts:
        yield command, "allow"
        yield from ((pattern, "deny") for pattern in _beyond_a_word(command))
    timed = [f"timeout {time} {tool}" for tool in permissions.tools for time in _TIMES]
    beginnings = (*permissions.reading, *permissions.tools, *timed)
    yield from ((f"{beginning} *", "allow") for beginning in (*beginnings, *permissions.files))
    yield from ((command, "allow") for command in permissions.reading_exact)
    yield from ((pattern, "deny") for pattern in _DANGEROUS)
    for end in _HARMLESS_ENDS:
        yield from ((f"{beginning} {end}", "allow") for beginning in beginnings)
        yield from ((f"{beginning} * {end}", "allow") for beginning in beginnings)
    yield from ((pattern, "deny") for pattern in ("*>*>*", *_DANGEROUS[1:]))
    for command in permissions.files:
        yield from _file_rules(command)
    # As a pattern, `make test-*` would also match `make test-a > FILE`, so it does not come after the refusals.
    yield from ((command, "allow") for command in permissions.exact_parts if not {"*", "?"} & {*command})


def _beyond_a_word(command: str) -> Iterator[str]:
    """Yield what each `*` of a command should not match: several words, and a parent folder."""
    for position, sign in enumerate(command):
        if sign == "*":
            before, after = command[:position], command[position + 1 :]
            yield f"{before}* {f'*{after}' if after else '?*'}"
            yield f"{before}*..*{after}"


def _file_rules(command: str) -> Iterator[Rule]:
    if command in _HARMLESS_OPTIONS:
        yield f"{command} -*", "deny"
        yield from ((f"{command} {option} *", "allow") for option in _HARMLESS_OPTIONS[command])
        yield f"{command} * -*", "deny"
    yield from ((f"{command} {pattern}", "deny") for pattern in (*_UNCHECKED, *_DANGEROUS))
