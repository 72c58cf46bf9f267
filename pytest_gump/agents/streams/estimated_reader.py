"""Reader for a stream that reports usage only at the end. Until then, usage is estimated from the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.agents.base import UsageSeen
from pytest_gump.agents.streams.conversation_reader import ConversationReader
from pytest_gump.agents.streams.json_reader import NO_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.usage import Usage

UNNAMED = "unnamed"


class EstimatedReader(ConversationReader):
    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._running: set[str] = set()
        """Tools that were called and have not returned."""
        self._last_error = ""
        self._has_reported = False

    def _usage(self) -> Usage:
        reported = self._reported_usage()
        if reported is not None and reported.tokens.suffice(self._turns):
            return reported
        if reported is not None:
            self._is_doubted = True
        return self._conversation.usage(*self._counts)

    def _seen(self) -> Iterable[Event]:
        """Return the estimate so far; nothing once the CLI has reported its usage."""
        return NO_EVENTS if self._has_reported else (UsageSeen(self._conversation.usage(*self._counts)),)

    def _last_words(self, stderr: str) -> str:
        return self._last_error or super()._last_words(stderr)

    def _reported_usage(self) -> Usage | None:
        raise NotImplementedError
