"""A program on a pseudo-terminal: wait for its output, and type."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE_S: Final = 60.0


class Terminal:
    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self.output = ""
        """Everything that the program has written."""
        self._seen = 0

    def expect(self, text: str) -> None:
        """Wait until the program has written a text after the last expected one."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.output.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is missing:\n{self.output}"
            assert self._read(), f"the program ended without {text!r}:\n{self.output}"
        self._seen = found + len(text)

    def type(self, line: str | bytes, *, end: str = "\n") -> None:
        os.write(self._master, (line.encode() if isinstance(line, str) else line) + end.encode())

    def end(self) -> int:
        """Wait for the end of the program, and return its exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < deadline, f"the program does not end:\n{self.output}"
        return self.process.wait()

    def _read(self) -> bool:
        """Read what the program writes in the next moment; return False after its end."""
        if not select.select([self._master], [], [], 0.2)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the last process has closed the terminal
            return False
        self.output += data.decode("utf-8", "replace")
        return bool(data)


@contextmanager
def on_terminal(words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Iterator[Terminal]:
    """Start a program on a terminal, and kill it at the end of the block if it still runs."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*words], cwd=cwd, env=env, start_new_session=True, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
