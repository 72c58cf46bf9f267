"""Messages between a worker and a process that it forked."""

from __future__ import annotations

import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.executors.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Iterator

BIG = "x" * (8 << 20)
"""More than the buffer of a socket."""


@pytest.fixture
def ends() -> Iterator[tuple[Frames, Frames]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Frames(ours), Frames(theirs)


def all_of(frames: Frames, received: list[Any]) -> None:
    while (messages := frames.receive()) is not None:
        received += messages


def test_messages_arrive_as_sent(ends: tuple[Frames, Frames]) -> None:
    received: list[Any] = []
    reader = threading.Thread(target=all_of, args=(ends[1], received))
    reader.start()
    for message in [("order", 1, {"text": BIG}), (), ("cancel", 1)]:
        ends[0].send(*message)
    ends[0].close()
    reader.join()
    assert received == [("order", 1, {"text": BIG}), None, ("cancel", 1)]


def test_interrupt_does_not_truncate_a_message(ends: tuple[Frames, Frames]) -> None:
    received: list[Any] = []

    def interrupt_then_read() -> None:
        assert ends[1].comes_within(60)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        all_of(ends[1], received)

    reader = threading.Thread(target=interrupt_then_read)
    reader.start()
    with pytest.raises(KeyboardInterrupt):
        ends[0].send("tool", BIG)
    ends[0].send("result")
    ends[0].close()
    reader.join()
    assert received == [("tool", BIG), ("result",)]


@pytest.mark.parametrize("text", [b"no frame", b"", b"2", b"2\xff\xff\xff"])
def test_invalid_data_ends_the_connection(ends: tuple[Frames, Frames], text: bytes) -> None:
    ends[0]._end.sendall(len(text).to_bytes(8, "big") + text)
    assert ends[1].receive() is None
