"""A command: the request, its output while it runs, and its exit."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pytest_gump.errors import GumpError
from pytest_gump.system import files
from pytest_gump.system.processes.process_table import MARK
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.processes.output import LineSplitter

TICK_S: Final = 0.2
LOSS_WAIT_S: Final = 10.0
"""Time after the grace time in which a keeper or the supervisor must end a command. Killing takes at most 5 seconds."""
LOST: Final = "the supervisor of the command was killed by another process"
TOO_MANY_BYTES: Final = "too many bytes"
TOO_MANY_LINES: Final = "too many lines"
"""Reasons why a command was stopped because of its output. The rest of the output is not stored and not read."""
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    argv: tuple[str, ...]
    """Empty if `shell` is given."""
    cwd: Path
    """Working folder. If `folder` is given, it is used only in messages."""
    env: Mapping[str, str]
    """The complete environment. The mark is added to it."""
    mark: str
    stdout: Path
    stderr: Path | None = None
    """None to merge stderr into stdout, in order."""
    stdin: bytes = b""
    shell: str | None = None
    """A shell command of the user. It runs in `bash`, or in `sh` if there is no `bash`."""
    folder: Directory | None = None
    """Working folder, entered by its descriptor."""
    records: Path | None = None
    """File for the command's output to descriptor 3; None if the command gets no descriptor 3."""

    max_bytes: int | None = None
    """Limit for all outputs together. A command that prints more is stopped."""
    max_lines: int | None = None
    """Limit for stdout. A command that prints more is stopped."""

    @property
    def command(self) -> list[str]:
        if self.shell is None:
            return list(self.argv)
        folders = self.env.get("PATH", os.defpath).split(os.pathsep)
        has_bash = any(os.access(Path(folder, "bash"), os.X_OK) for folder in folders if folder)
        return ["bash" if has_bash else "/bin/sh", "-c", self.shell]


@dataclass(frozen=True, slots=True)
class Exit:
    exit_code: int | None
    """None if a signal ended the command, or if it did not start."""
    signal: int | None
    stopped: str | None
    """The first reason to stop it: `timeout`, too much output, output that cannot be stored, or the value that
    `on_line` or `on_tick` returned.
    """
    duration_s: float
    left_running: int = 0
    """Number of processes that had to be ended after the main process had ended."""
    error: str | None = None
    """Why the command did not start, why its output was not stored, or `LOST`."""
    unkilled: int = 0
    """Number of processes that survived SIGKILL (other user, hung device)."""

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0 and self.stopped is None


class Running:
    """A command that is running."""

    def __init__(
        self,
        channel: socket.socket,
        request: Request,
        splitter: LineSplitter,
        stack: contextlib.ExitStack,
        grace_s: float,
    ) -> None:
        self.channel = channel
        self.grace_s = grace_s
        self.request = request
        self.splitter = splitter
        self.stack = stack
        self.began = CLOCK()
        self.stopped: str | None = None
        self.size = 0
        self.lines = 0
        self.broken: str | None = None
        """Why the stored output is incomplete."""
        self.give_up_at: float | None = None
        self.buffer = b""
        self.ended: dict[str, Any] | None = None
        self.outputs: dict[int, BinaryIO] = {}
        self.stdout: int | None = None
        self.selector = stack.enter_context(selectors.DefaultSelector())
        self.selector.register(channel, selectors.EVENT_READ)

    def launch(self) -> None:
        stdin = self._stdin()
        out_reader, out_writer = self._pipe(self.request.stdout)
        self.stdout = out_reader
        err_writer = out_writer
        if self.request.stderr is not None:
            _, err_writer = self._pipe(self.request.stderr)
        writers = [out_writer, err_writer]
        if self.request.records is not None:
            writers.append(self._pipe(self.request.records)[1])
        frame = {
            "op": "run",
            "argv": [_as_latin_1(word) for word in self.request.command],
            "env": {_as_latin_1(k): _as_latin_1(v) for k, v in {**self.request.env, MARK: self.request.mark}.items()},
            "cwd": None if self.request.folder is not None else _as_latin_1(str(self.request.cwd)),
            "mark": self.request.mark,
            "grace": self.grace_s,
        }
        folder = [] if self.request.folder is None else [self.request.folder.descriptor]
        self._send(frame, [*folder, stdin, *(writer.fileno() for writer in writers)])
        for writer in set(writers):
            writer.close()

    def _stdin(self) -> int:
        if not self.request.stdin:
            return self.stack.enter_context(Path(os.devnull).open("rb")).fileno()
        file = self.stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        file.write(self.request.stdin)
        file.seek(0)
        return file.fileno()

    def _pipe(self, path: Path) -> tuple[int, BinaryIO]:
        """Return both ends of a pipe whose content is written to `path`.

        The command does not get the file itself, because `echo x > /dev/stderr` in a script would truncate it.
        """
        file = self.stack.enter_context(files.create(path))
        reader, writer = os.pipe()
        self.stack.callback(os.close, reader)
        os.set_blocking(reader, False)
        self.outputs[reader] = file
        self.selector.register(reader, selectors.EVENT_READ)
        return reader, self.stack.enter_context(os.fdopen(writer, "wb", 0))

    def _send(self, frame: dict[str, Any], descriptors: list[int]) -> None:
        body = json.dumps(frame).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `_listen` notices the end of the supervisor
            socket.send_fds(self.channel, [len(body).to_bytes(4, "big")], descriptors)
            self.channel.sendall(body)

    def follow(self, timeout_s: float | None, on_tick: Callable[[], str | None] | None) -> Exit:
        tick = self.began + TICK_S
        while self.ended is None:
            for key, _ in self._wait(max(0.0, tick - CLOCK())):
                if key.fileobj is self.channel:
                    self._listen()
                elif not self._read(key.fd):
                    self.selector.unregister(key.fd)
            now = CLOCK()
            if now >= tick:
                tick = now + TICK_S
                self._stop(on_tick() if on_tick is not None else None)
            if timeout_s is not None and now - self.began >= timeout_s:
                self._stop("timeout")
            if self.give_up_at is not None and now > self.give_up_at:
                self.ended = {"event": "lost"}
        self._read_rest()
        self.splitter.finish()
        return self._finished(self.ended)

    def _wait(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        with CLOCK.waiting(seconds):
            return self.selector.select(seconds)

    def _read(self, reader: int) -> bool:
        """Read and store one chunk. Return False at the end of the pipe."""
        try:
            chunk = os.read(reader, _CHUNK)
        except BlockingIOError:
            return True
        kept = self._within_limits(chunk, reader)
        try:
            self.outputs[reader].write(kept)
        except OSError as error:  # later output is read, but not stored
            self.broken = self.broken or f"its output cannot be stored: {error.strerror or error}"
            self._stop("output not stored")
        if reader == self.stdout:
            self._stop(self.splitter.feed(kept))
        return bool(chunk)

    def _within_limits(self, chunk: bytes, reader: int) -> bytes:
        """Return the part of the chunk within the limits. Stop the command if the chunk exceeds them."""
        left = None if self.request.max_bytes is None else max(0, self.request.max_bytes - self.size)
        self.size += len(chunk)
        if left is not None and len(chunk) > left:
            self._stop(TOO_MANY_BYTES)
            chunk = chunk[:left]
        if self.request.max_lines is not None and reader == self.stdout:
            lines, allowed = chunk.count(b"\n"), max(0, self.request.max_lines - self.lines)
            self.lines += lines
            if lines > allowed:
                self._stop(TOO_MANY_LINES)
                return b"".join(line + b"\n" for line in chunk.split(b"\n", allowed)[:allowed])
        return chunk

    def _read_rest(self) -> None:
        """Read the remaining content of the pipes. Do not wait for pipes that other processes still hold open."""
        self.selector.unregister(self.channel)
        while ready := self.selector.select(0):
            for key, _ in ready:
                if not self._read(key.fd):
                    self.selector.unregister(key.fd)

    def _listen(self) -> None:
        try:
            chunk = self.channel.recv(_CHUNK)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            self.ended = {"event": "lost"}
            return
        *lines, self.buffer = (self.buffer + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] != "started":
                self.ended = event

    def _stop(self, reason: str | None) -> None:
        if reason is not None and self.stopped is None and self.ended is None:
            self.stopped = reason
            self.give_up_at = CLOCK() + self.grace_s + LOSS_WAIT_S
            self._send({"op": "stop"}, [])

    def _finished(self, event: dict[str, Any]) -> Exit:
        duration_s = CLOCK() - self.began
        if event["event"] == "lost":
            return Exit(None, None, self.stopped, duration_s, error=LOST)
        if event["event"] == "failed":
            return self._not_started(event, duration_s)
        status = event["status"]
        code = None if status is None else os.waitstatus_to_exitcode(status)
        return Exit(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stopped=self.stopped,
            duration_s=duration_s,
            left_running=event["left"],
            error=self.broken,
            unkilled=event["unkilled"],
        )

    def _not_started(self, event: dict[str, Any], duration_s: float) -> Exit:
        if event["stage"] == "cwd":
            raise GumpError(f"cannot enter the folder {str(self.request.cwd)!r}: {os.strerror(event['errno'])}")
        name = self.request.command[0]
        error = f"cannot start {name!r}: {os.strerror(event['errno'])}"
        return Exit(None, None, self.stopped, duration_s, error=error)


def _as_latin_1(text: str) -> str:
    """Return a system string as text with one character per byte, for a frame."""
    return os.fsencode(text).decode("latin-1")
