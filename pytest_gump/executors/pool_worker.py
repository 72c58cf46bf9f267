"""The controller's record of a worker."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_gump.executors.liveness import Liveness

if TYPE_CHECKING:
    from pytest_gump.executors.transfer import Transfer


@dataclass(slots=True, eq=False)
class PoolWorker:
    node: Any
    channel: Any
    pid: int | None = None
    """None until the worker is ready for orders."""
    carries_out_several: bool = False
    tickets: set[int] = field(default_factory=set)
    """Its running orders."""
    known: set[str] = field(default_factory=set)
    """Runs whose setup was sent to it."""
    shares_disk: bool = True
    commits: set[str] = field(default_factory=set)
    """Commits that were sent to it, if it shares no disk."""
    transfers: dict[int, Transfer] = field(default_factory=dict)
    """Incomplete results by ticket, if it shares no disk."""
    liveness: Liveness = field(default_factory=Liveness)
    is_given_up: bool = False

    def room(self, share: int) -> int:
        """Return how many more orders it can get, if it may have `share` at once."""
        if self.pid is None or self.liveness.is_mute:
            return 0
        return max(0, (share if self.carries_out_several else 1) - len(self.tickets))

    @property
    def name(self) -> str:
        return str(self.node.gateway.id)

    def send(self, *message: Any) -> None:
        with suppress(OSError):  # the worker has ended, and xdist will report that
            self.channel.send(message)

    def kill(self) -> None:
        if self.pid is None:
            return
        if self.shares_disk:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        else:
            self.channel.close()  # the worker stops when the channel closes; its pid belongs to another machine

    def give_up(self) -> None:
        """End a worker that does not answer. xdist reports it as crashed."""
        self.is_given_up = True
        self.kill()
        if not self.shares_disk:
            with suppress(AttributeError, OSError):  # not all kinds of connections have a process to kill
                self.node.gateway._io.kill()  # noqa: SLF001 - the public `exit` waits for the worker
