"""What the readers must report for each recorded stream, by CLI."""

from __future__ import annotations

from tests.agents.recordings.claude import CLAUDE
from tests.agents.recordings.codex import CODEX
from tests.agents.recordings.copilot import COPILOT
from tests.agents.recordings.cursor import CURSOR
from tests.agents.recordings.gemini import GEMINI
from tests.agents.recordings.opencode import OPENCODE
from tests.agents.recordings.qwen import QWEN

RECORDED = (CLAUDE, CODEX, COPILOT, GEMINI, OPENCODE, QWEN)
ALL = (*RECORDED, CURSOR)
