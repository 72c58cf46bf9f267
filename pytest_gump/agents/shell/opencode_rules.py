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
    beginnings = (*permissions.reading, *permissions.tools)
    yield from ((f"{beginning} *", "allow") for beginning in (*beginnings, *permissions.files))
    yield from ((command, "allow") for command in (*permissions.reading_exact, *permissions.exact))
    yield from ((pattern, "deny") for pattern in _DANGEROUS)
    for end in _HARMLESS_ENDS:
        yield from ((f"{beginning} {end}", "allow") for beginning in beginnings)
        yield from ((f"{beginning} * {end}", "allow") for beginning in beginnings)
    yield from ((pattern, "deny") for pattern in ("*>*>*", *_DANGEROUS[1:]))
    for command in permissions.files:
        yield from _file_rules(command)
    # As a pattern, `make test-*` would also match `make test-a > FILE`, so it does not come after the refusals.
    yield from ((command, "allow") for command in permissions.exact if not {"*", "?"} & {*command})


def _file_rules(command: str) -> Iterator[Rule]:
    if command in _HARMLESS_OPTIONS:
        yield f"{command} -*", "deny"
        yield from ((f"{command} {option} *", "allow") for option in _HARMLESS_OPTIONS[command])
        yield f"{command} * -*", "deny"
    yield from ((f"{command} {pattern}", "deny") for pattern in (*_UNCHECKED, *_DANGEROUS))
