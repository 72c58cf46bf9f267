"""Base class of the readers that can estimate the tokens of an answer from its text, if the CLI reports none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.agents import prices
from pytest_gump.agents.streams.estimate import Conversation
from pytest_gump.agents.streams.json_reader import JsonReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Ending, Event, Task, Turn

ESTIMATED: Final = "the CLI reported too few tokens for its answers, so they are estimated from the text"


class ConversationReader(JsonReader):
    """Keeps an estimate beside the reported usage. A subclass adds the text of the model and the output of tools."""

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._conversation = Conversation(prices.priced_as(model, self.CLI), task.prompt)
        self._is_doubted = False
        """True if reported tokens are not used, because they are too few for the answers."""

    def _start(self, session_id: str | None, model: str | None = None) -> Iterable[Event]:
        events = super()._start(session_id, model)
        self._conversation.model = prices.priced_as(self._model, self.CLI)
        return events

    def _turn(self) -> Turn:
        self._conversation.begin_answer()
        return super()._turn()

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        ending = super().finish(exit_code=exit_code, stderr=stderr, stopped=stopped)
        if ending.outcome == "ok" and self._is_doubted:  # after a failure, missing tokens are no surprise
            return replace(ending, notes=(*ending.notes, ESTIMATED))
        return ending
