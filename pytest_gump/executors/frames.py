"""Messages over one end of a socket pair: tuples of built-in types, as on execnet's channels."""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING, Any, Final

import execnet

if TYPE_CHECKING:
    import socket

    Message = tuple[Any, ...] | None

_CHUNK: Final = 1 << 18
_HEAD: Final = 8


class Frames:
    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = threading.Lock()
        self._received = bytearray()
        """The part of a message that has come."""

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, *message: Any) -> None:
        """Send a message; any thread may. Without parts it is None, which ends what is running.

        Raises:
            OSError: the other end is gone, or does not read.
        """
        body = execnet.dumps(message or None)
        with self._lock:
            self._end.sendall(len(body).to_bytes(_HEAD, "big") + body)

    def comes_within(self, seconds: float) -> bool:
        """Wait for something to receive, the end included."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def receive(self) -> list[Message] | None:
        """The messages that are complete after one read; None at the end."""
        try:
            chunk = self._end.recv(_CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            return None
        self._received += chunk
        messages: list[Message] = []
        while len(self._received) >= _HEAD:
            end = _HEAD + int.from_bytes(self._received[:_HEAD], "big")
            if len(self._received) < end:
                break
            messages.append(execnet.loads(bytes(self._received[_HEAD:end])))
            del self._received[:end]
        return messages

    def close(self) -> None:
        self._end.close()
