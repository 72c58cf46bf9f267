"""The append-only event log of a run. All other views of a run are computed from it.

Each line is a JSON object with `event` (its name) and `at` (seconds since the epoch). Only the controller writes the
ledger of a running run; `gump apply` and `gump discard` append to that of a finished run. A writer holds a shared lock
on the file; `lock_out_writers` briefly excludes all writers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.errors import RunError
from pytest_gump.system.locks import is_still, lock, try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORMAT = 1
LOOKS = 3
"""Number of tries to get a lock that another process may hold for a moment."""
Event = dict[str, Any]
_SURROGATES = re.compile("[\ud800-\udfff]")
"""They occur in file names that are not UTF-8, and possibly in the output of agents."""
DAMAGED = "another program changed it: restore it from a copy, or move the run's folder away and start a new run"


class Ledger:
    """Writer of `ledger.ndjson`; each event is on disk when `append` returns."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunError(f"cannot write the ledger {path}: {error.strerror}") from error
        self._data = bytearray(_become_writer(self._file))
        """Expected content of the file."""
        if not is_still(self._file, path):
            os.close(self._file)
            raise RunError(f"the ledger {path} was just removed", hint="gump gc may have removed it; try again")

    def append(self, event: str, **fields: Any) -> Event:
        """Write one event as one line, sync the file and return the event.

        Raises:
            RunError: The event cannot be written, for example on a full disk. Earlier events are kept.
        """
        record: Event = {"event": event, "at": round(self._clock(), 3), **fields}
        line = json_text(record).encode() + b"\n"
        whole = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # an incomplete line would corrupt the next event
                os.ftruncate(self._file, whole)
            raise RunError(f"cannot write the ledger {self._path}: {error.strerror}") from error
        self._data += line
        return record

    def damage(self) -> str:
        """Return how the file was changed since the last write; empty if it was not."""
        try:
            there = self._path.lstat()
        except OSError:
            return "the ledger was removed"
        ours = os.fstat(self._file)
        if not os.path.samestat(there, ours):
            return "the ledger was replaced"
        return "the ledger was truncated" if ours.st_size < len(self._data) else ""

    def restore(self) -> None:
        """Write all events into a new file. An existing file with the ledger's name is renamed.

        Raises:
            OSError: The file cannot be renamed or written.
        """
        if os.path.lexists(self._path):
            self._path.rename(self._path.with_name(f"{self._path.name}.{os.urandom(4).hex()}"))
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.close(self._file)
        self._file = file
        written = 0
        while written < len(self._data):
            written += os.write(file, self._data[written:])
        os.fsync(file)
        lock(file, fcntl.LOCK_SH)

    def close(self) -> None:
        os.close(self._file)


@contextlib.contextmanager
def lock_out_writers(path: Path) -> Iterator[bool]:
    """Exclude writers from the ledger within the context; yield False if another process is writing it now.

    Raises:
        RunError: The file cannot be opened.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RunError(f"cannot write the ledger {path}: {error.strerror}") from error
    try:
        yield lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB) and is_still(file, path)
    finally:
        os.close(file)


def is_written(path: Path) -> bool:
    """True if a run, or a command on a finished run, has the ledger open for writing."""
    try:
        with lock_out_writers(path) as is_ours:
            return not is_ours
    except RunError:
        return False


def _become_writer(file: int) -> bytes:
    """Take the writer's lock and return the content of the file.

    Removes an incomplete last line, left by a crash, from the file: the next event would become part of it.
    """
    for _ in range(LOOKS):
        lock(file, fcntl.LOCK_SH)  # waits for processes that only test the lock
        try:
            if not try_lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                continue
        except OSError:  # other writers cannot be detected
            break
        size = os.fstat(file).st_size
        whole = _whole(os.pread(file, size, 0))
        if whole < size:
            os.ftruncate(file, whole)
        break
    lock(file, fcntl.LOCK_SH)
    return os.pread(file, os.fstat(file).st_size, 0)


def _whole(data: bytes) -> int:
    """Return the length of the data without an incomplete last line, which `read_ledger` ignores."""
    end = data.rfind(b"\n") + 1
    start = data.rfind(b"\n", 0, max(0, end - 1)) + 1
    return end if isinstance(_parsed(data[start:end]), dict) else start


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None


def read_ledger(path: Path) -> Iterator[Event]:
    """Yield the events. An incomplete last line, left by a crash, is ignored.

    Raises:
        RunError: The file cannot be read, or a line is not a valid event.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read the ledger {path}: {error.strerror}", hint=DAMAGED) from error
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        record = _parsed(line)
        if not isinstance(record, dict) or not is_event(record):
            if number == len(lines) - 1 and not isinstance(record, dict):
                return
            raise RunError(
                f"cannot read the ledger {path}: line {number} is not a valid event",
                hint=DAMAGED,
            )
        yield record


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return JSON that can be encoded as UTF-8 and read back unchanged, for any strings in the value."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
