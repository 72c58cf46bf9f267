"""Messages over a socket pair: tuples of built-in types, as on execnet's channels."""

from __future__ import annotations

import select
import signal
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import execnet

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    Message = tuple[Any, ...] | None

_CHUNK: Final = 1 << 18
_HEAD: Final = 8
_NOT_OURS: Final = (execnet.DataFormatError, EOFError, struct.error, ValueError)


class Frames:
    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = threading.Lock()
        self._received = bytearray()
        """The received bytes of an incomplete message."""

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, *message: Any) -> None:
        """Send a message, from any thread. A message without parts arrives as None and ends all running orders.

        Raises:
            OSError: The other end is closed, or does not read.
            KeyboardInterrupt: A signal arrived while sending. The whole message was sent.
        """
        body = execnet.dumps(message or None)
        with _uninterrupted(), self._lock:
            self._end.sendall(len(body).to_bytes(_HEAD, "big") + body)

    def comes_within(self, seconds: float) -> bool:
        """Wait for a message or the end of the connection. Return False if neither comes in time."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def receive(self) -> list[Message] | None:
        """Read once and return the complete messages; None at the end of the connection or for malformed data."""
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
            try:
                messages.append(execnet.loads(bytes(self._received[_HEAD:end])))
            except _NOT_OURS:
                return None
            del self._received[:end]
        return messages

    def close(self) -> None:
        self._end.close()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay the signal that stops an order, so that no message is cut off in the middle."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # raises for a pending signal, and blocks later ones
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
