"""Custom gates: functions with assertions, run in a forked child so that a hang or crash does not spread."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from pytest_gump.gates.base import GateResult, GateStatus
from pytest_gump.text import condensed, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

    from pytest_gump.gates.base import GateContext

_MAX_TEXT: Final = 100_000
_MAX_PRINTED: Final = 100_000
_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux."""
_ADOPT_ORPHANS: Final = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""
_ROUNDS: Final = 100
NO_ASSERTIONS: Final = "Python runs without assertions (-O or PYTHONOPTIMIZE), so custom gates cannot fail"


@dataclass(frozen=True, slots=True)
class Answer:
    status: GateStatus
    text: str


def run_custom(name: str, argument: str | None, context: GateContext) -> GateResult:
    function = context.custom.get(name)
    if function is None:
        return GateResult(name, "error", f"unknown gate {name!r}")
    if sys.flags.optimize:
        return GateResult(name, "error", NO_ASSERTIONS)
    view = context.step if context.step is None else replace(context.step, argument=argument)
    started = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        answer = _in_child(function, view, context.timeout_s, printed)
        output = answer.text if answer.status == "passed" else _with_printed(answer.text, printed)
    return GateResult(
        name=name,
        status=answer.status,
        summary=one_line(answer.text.strip().split("\n", 1)[0]),
        output="" if answer.status in ("passed", "skipped") else condensed(output, context.output_chars),
        duration_s=time.monotonic() - started,
    )


def _in_child(function: Callable[[Any], None], view: Any, timeout_s: float, printed: IO[bytes]) -> Answer:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # before the fork: little is safe after it
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    with ours, theirs:
        with warnings.catch_warnings():
            # The child runs one function and ends with _exit. It does not have the session's threads (xdist has some).
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            ours.close()
            if libc is not None:
                libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
                libc.prctl(_ADOPT_ORPHANS, 1)
            if os.getppid() != parent:
                os._exit(1)
            _answer_and_exit(function, view, theirs, printed)
        theirs.close()
        return _wait(child, ours, timeout_s)


def _wait(child: int, ours: socket.socket, timeout_s: float) -> Answer:
    """Read the child's answer, then end the child and all processes that it started."""
    received: bytes | None = None
    try:
        received = _receive(ours, time.monotonic() + timeout_s)
    finally:
        status = _end(child, crashed=received is not None and not received.endswith(b"\n"))
    if received is None:
        return Answer("error", f"timed out after {timeout_s:g}s")
    if not received.endswith(b"\n"):
        return Answer("error", _how_it_ended(status))
    return Answer(*json.loads(received))


def _receive(ours: socket.socket, deadline: float) -> bytes | None:
    """Return one line, or less if the child has ended; None at the deadline."""
    received = bytearray()
    while not received.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([ours], [], [], left_s)[0]:
            return None
        chunk = ours.recv(65536)
        if not chunk:
            break
        received += chunk
    return bytes(received)


def _end(child: int, *, crashed: bool) -> int:
    """Kill the child's descendants, its process group and the child itself, and return its wait status."""
    if crashed:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    _end_descendants(child)
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _end_descendants(child: int) -> None:
    """Kill all descendants. The child is still alive and adopts orphans, so detached processes are found too."""
    import psutil

    for _ in range(_ROUNDS):
        with contextlib.suppress(psutil.NoSuchProcess):
            living = [process for process in psutil.Process(child).children(recursive=True) if _is_alive(process)]
            for process in living:
                process.kill()
            if not living:
                return
            time.sleep(0.005)


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != "zombie"


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"the gate crashed: {signal.strsignal(os.WTERMSIG(status)) or 'signal'} (signal {os.WTERMSIG(status)})"
    return f"the gate ended its process with exit code {os.WEXITSTATUS(status)}"


def _with_printed(text: str, printed: IO[bytes]) -> str:
    printed.seek(0)
    said = printed.read(_MAX_PRINTED).decode("utf-8", "replace").strip()
    return f"{text}\n\nprinted by the gate:\n{said}" if said else text


def _answer_and_exit(function: Callable[[Any], None], view: Any, theirs: socket.socket, printed: IO[bytes]) -> NoReturn:
    """Run the gate in the child and exit, without the finalizers, buffered output and pytest of the parent."""
    code = 70
    try:
        os.setsid()
        _redirect(printed)
        answer = _call(function, view)
        sys.stdout.flush()
        line = json.dumps([answer.status, answer.text[:_MAX_TEXT]]) + "\n"
        theirs.sendall(line.encode())
        theirs.recv(1)  # wait until the parent ends this process or itself
        code = 0
    finally:
        os._exit(code)


def _redirect(printed: IO[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    faulthandler.enable(file=2)


def _call(function: Callable[[Any], None], view: Any) -> Answer:
    try:
        returned: object = function(view)  # type: ignore[func-returns-value]
    except AssertionError as error:
        return Answer("failed", _message(error, function))
    except BaseException as error:  # noqa: BLE001  a process boundary: every exception of a gate is its answer
        return _other(error, function)
    if returned is not None:
        return Answer("error", f"the gate returned {type(returned).__name__}: it must assert, and return nothing")
    return Answer("passed", "")


def _other(error: BaseException, function: Callable[[Any], None]) -> Answer:
    """Return the answer for an exception. Recognize `pytest.fail` and `pytest.skip` without importing pytest."""
    kind, message = type(error).__name__, getattr(error, "msg", None)
    if not isinstance(error, Exception) and isinstance(message, str) and kind in ("Failed", "Skipped"):
        return Answer("failed" if kind == "Failed" else "skipped", message)
    return Answer("error", f"{kind}: {_message(error, function)}")


def _message(error: BaseException, function: Callable[[Any], None]) -> str:
    """Return the message, pytest's explanation if it rewrote the assertion, and the lines in the gate's own file."""
    code = getattr(function, "__code__", None)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename
    ]
    places = [f"{Path(frame.filename).name}:{frame.lineno}: in {frame.name}\n    {frame.line}" for frame in frames]
    message = str(error) or (frames[-1].line if frames and frames[-1].line else type(error).__name__)
    return "\n".join([message, *(["", *places] if places else [])])
