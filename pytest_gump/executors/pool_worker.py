"""A worker as the controller knows it."""

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
    """None until it takes orders."""
    carries_out_several: bool = False
    tickets: set[int] = field(default_factory=set)
    """Its running orders."""
    known: set[str] = field(default_factory=set)
    """Runs whose setup it has."""
    shares_disk: bool = True
    commits: set[str] = field(default_factory=set)
    """What was sent to it, where it does not."""
    transfers: dict[int, Transfer] = field(default_factory=dict)
    """What has come of results so far, by ticket, where it does not."""
    liveness: Liveness = field(default_factory=Liveness)
    is_given_up: bool = False

    def room(self, share: int) -> int:
        """How many orders it may get now, if it may have so many at once."""
        if self.pid is None or self.liveness.is_mute:
            return 0
        return max(0, (share if self.carries_out_several else 1) - len(self.tickets))

    @property
    def name(self) -> str:
        return str(self.node.gateway.id)

    def send(self, *message: Any) -> None:
        with suppress(OSError):  # it is gone, and xdist will report that
            self.channel.send(message)

    def kill(self) -> None:
        if self.pid is None:
            return
        if self.shares_disk:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        else:
            self.channel.close()  # the worker stops when the channel closes; its process id is of another machine

    def give_up(self) -> None:
        """End a worker that does not answer, as if it had crashed: xdist will say so."""
        self.is_given_up = True
        self.kill()
        if not self.shares_disk:
            with suppress(AttributeError, OSError):  # the end of its connection: not all kinds have one to kill
                self.node.gateway._io.kill()  # noqa: SLF001 - its own end waits for the worker
