"""Recognizes a missing or invalid login in the error message of a CLI.

The forms are those of the recorded streams in `tests/agents/recorded`: `Not logged in · Please run /login`, `Failed to
authenticate. API Error: 401 ...`, `unexpected status 401 Unauthorized`, `"status":"UNAUTHENTICATED"`, `Missing API
key`, `must specify the GEMINI_API_KEY environment variable`, `Missing environment variable: ...`, `No authentication
information found`. OpenCode without a key reports only `Unexpected server error`, which is not recognized.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_gump.agents.base import Ending

_WORDS: Final = re.compile(
    r"\bnot logged in\b|\blog ?in again\b|/login\b|\bfailed to authenticate\b"
    r"|\bauthentication[_ ](?:error|required|failed)|\bunauthori[sz]ed\b|\bunauthenticated\b"
    r"|(?:error|status)(?: code)?:? 401\b|\bapi key not valid\b|\btoken (?:has|is) expired\b"
    r"|\b(?:missing|invalid|expired|incorrect|no) (?:an? )?(?:api key|\w*token|credentials?)\b"
    r"|\bno authentication information\b"
    r"|\bmissing environment variable\b|\bmust specify the \w+ environment variable\b",
    re.IGNORECASE,
)
_MOST_CHARS: Final = 2_000
HINT: Final = "log in to {cli} or set its key, check it with `gump doctor --live {agent}`, then resume the run"


def with_login_error(ending: Ending, *, cli: str, agent: str) -> Ending:
    """Return a failed login as final, with a hint in its notes: every attempt with this CLI would end the same way.

    Other endings are returned unchanged; so are those with tokens, because an answer may quote such words.
    """
    is_failed = ending.outcome == "agent_error" and not ending.usage.tokens.total
    if not is_failed or not _WORDS.search(ending.reason[:_MOST_CHARS]):
        return ending
    note = f"login error: {HINT.format(cli=cli, agent=agent)}"
    return replace(ending, final=True, notes=(*ending.notes, note))
