"""The model server: one port for all APIs, a record of all requests, and a trap for requests to other hosts.

The CLIs also use it as their proxy, so requests to hosts other than loopback end in `strays` and not on the internet.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from pytest_gump.conformance.model import gemini
from pytest_gump.conformance.model.dialect import dialect_of
from pytest_gump.conformance.model.request import Served
from pytest_gump.conformance.model.script import Answer
from pytest_gump.conformance.model.vocabulary import calls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.conformance.model.dialect import Dialect
    from pytest_gump.conformance.model.request import Json, ServerEvent
    from pytest_gump.conformance.model.script import Fault, Script

HIDDEN: Final = "***"
KEY_HEADERS: Final = ("authorization", "x-api-key", "x-goog-api-key")
PACE_S: Final = 0.05
"""Delay of every answer, because no real model is faster."""
LONG_PACE_S: Final = 2.5
"""Delay after a long request: Gemini CLI loses an answer that arrives before it notices that all is sent."""
LONG: Final = 60_000
"""Characters of a long request."""


class ModelServer(ThreadingHTTPServer):
    """Serves requests inside its `with` block."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, cli: str, script: Script, worktrees: Path, *, depth: int = 1, secrets: tuple[str, ...] = ()
    ) -> None:
        """Create a server.

        Paths of a script are relative to the worktree that a request names, `depth` levels below `worktrees`.
        """
        self.cli = cli
        self.script = script
        self.served: list[Served] = []
        self.strays: list[str] = []
        self._secrets = secrets
        self._worktrees = worktrees
        self._worktree = re.compile(re.escape(str(worktrees)) + r"(?:/[\w.@-]+)" * depth)
        self._failed = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def main(self) -> list[Served]:
        """The requests that belong to a prompt of gump."""
        return [served for served in self.served if not served.is_side]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def fault(self, *, is_side: bool) -> Fault | None:
        """Return the error for the next request; None if it gets an answer."""
        fault = self.script.fault
        with self._lock:
            if fault is None or (fault.times is not None and (is_side or self._failed >= fault.times)):
                return None
            self._failed += 1
            return fault

    def note(self, served: Served) -> None:
        with self._lock:
            self.served.append(served)

    def worktree(self, text: str) -> Path:
        """Return the last worktree in the text of a request: a CLI sends its working directory to the model."""
        found = self._worktree.findall(text)
        return Path(found[-1]) if found else self._worktrees

    def without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the error: a CLI that is killed drops its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass

    def do_CONNECT(self) -> None:
        self._stray(self.path)

    def do_GET(self) -> None:
        if self._is_ours():
            self._send({"object": "list", "data": [], "models": []})

    def do_POST(self) -> None:
        raw = self._body()
        if not self._is_ours():
            return
        path = urlsplit(self.path).path.rstrip("/")
        dialect = dialect_of(path)
        if dialect is None:
            self._send({"input_tokens": 1, "totalTokens": 1})
            return
        with contextlib.suppress(ConnectionError):
            self._answer(dialect, path, raw)

    def _is_ours(self) -> bool:
        """True for a request to this server. Refuse a request to another host with status 403."""
        host = urlsplit(self.path).hostname
        if host in {None, "127.0.0.1", "localhost"}:
            return True
        self._stray(str(host))
        return False

    def _stray(self, where: str) -> None:
        self.server.strays.append(where)
        self.close_connection = True
        self._send({"error": "only the model server can be reached"}, 403)

    # -- an answer of the model ------------------------------------------------------------------------------------

    def _answer(self, dialect: Dialect, path: str, raw: bytes) -> None:
        model = self.server
        text = raw.decode("utf-8", "replace")
        request = dialect.read(json.loads(text), path)
        prompt = request.prompt
        is_side = prompt is None or not request.tools
        fault = model.fault(is_side=is_side)
        has_key = any(self.headers.get(name) for name in KEY_HEADERS)
        model.note(Served(request, model.without_secrets(text), has_key, is_side))
        answer = Answer("{}") if is_side or prompt is None else model.script.scene(prompt).answer(request.answered)
        self._wait(max(answer.delay_s, _pace_s(dialect, text)))
        if fault is not None:
            self._send(dialect.failure(fault.status, fault.message), fault.status, fault.retry_after_s)
            return
        made = calls(model.cli, answer.actions, request.tools, model.worktree(text), request.answered)
        if request.stream:
            self._stream(dialect.events(request, answer, made), cut=answer.cut)
        elif answer.cut:
            self._drop()
        else:
            self._send(dialect.whole(request, answer, made))

    def _wait(self, delay_s: float) -> None:
        """Wait for the delay; raise ConnectionAbortedError if the CLI closes the connection."""
        until = time.monotonic() + delay_s
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(0.1, left_s))
            self.connection.settimeout(0.01)
            try:
                if self.connection.recv(1, socket.MSG_PEEK) == b"":
                    raise ConnectionAbortedError
            except TimeoutError:
                continue
            finally:
                self.connection.settimeout(None)

    def _stream(self, events: Iterable[ServerEvent], *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        planned = list(events)
        for name, data in planned[: len(planned) // 2] if cut else planned:
            head = f"event: {name}\n" if name else ""
            shown = data if isinstance(data, str) else json.dumps(data)
            event = f"{head}data: {shown}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        if cut:
            self._drop()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _drop(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _body(self) -> bytes:
        raw = self._chunks() if self.headers.get("Transfer-Encoding") else self._sized()
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _sized(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> bytes:
        raw = bytearray()
        while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            raw += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(raw)

    def _send(self, answer: Json, status: int = 200, retry_after_s: int | None = None) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        if retry_after_s is not None:
            self.send_header("Retry-After", str(retry_after_s))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _pace_s(dialect: Dialect, text: str) -> float:
    return LONG_PACE_S if dialect is gemini and len(text) > LONG else PACE_S
