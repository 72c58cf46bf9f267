"""The title of a spec: its first heading, as one line that can begin the subject of a commit."""

from __future__ import annotations

import re
from typing import Final

from pytest_gump.text import one_line

TITLE_CHARS: Final = 60
_SKIPPED: Final = re.compile(
    r"\A---\n.*?\n---$|^(?P<fence>```+|~~~+).*?^(?P=fence)|<!--.*?-->", re.DOTALL | re.MULTILINE
)
"""Front matter, code blocks and comments, in which a `#` begins no heading."""
_HEADING: Final = re.compile(
    r"^ {0,3}#{1,6}[ \t]+(?P<hashes>\S[^\n]*?)[ \t#]*$|^ {0,3}(?P<underlined>\S[^\n]*)\n {0,3}(?:=+|-{2,})[ \t]*$",
    re.MULTILINE,
)
_FIRST: Final = "#-!:;.,>*_`~ \t"
"""Characters that a subject must not begin with: git drops lines with `#`, and options begin with `-`."""
_MOST_READ: Final = 64 * 1024


def spec_title(spec: bytes) -> str:
    """Return the title; empty if there is none."""
    text = spec[:_MOST_READ].decode("utf-8-sig", "replace").replace("\r\n", "\n")
    found = _HEADING.search(_SKIPPED.sub("", text))
    return one_line(found[found.lastgroup or 0], TITLE_CHARS).lstrip(_FIRST) if found else ""
