"""HTTP: requests of CLIs in, answers of the script out."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from pytest_gump.conformance.model.asked import Served
from pytest_gump.conformance.model.dialect import dialect_of
from pytest_gump.conformance.model.script import Answer
from pytest_gump.conformance.model.vocabulary import calls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_gump.conformance.model.asked import Event, Json
    from pytest_gump.conformance.model.dialect import Dialect
    from pytest_gump.conformance.model.script import Script

KEY_HEADERS: Final = ("authorization", "x-api-key", "x-goog-api-key")
PACE_S: Final = 0.05
"""No model answers sooner."""
LONG_PACE_S: Final = 2.5
"""After a long request. Gemini CLI ends with nothing when an answer comes before it has noticed that all is sent."""
LONG: Final = 60_000


class Model(Protocol):
    """What answers requests: `server.ModelServer`."""

    cli: str
    script: Script
    strays: list[str]

    def status(self, *, is_side: bool) -> tuple[int, str]: ...

    def note(self, served: Served) -> None: ...

    def worktree(self, text: str) -> Path: ...

    def without_secrets(self, text: str) -> str: ...


class ScriptedHttp(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model: Model) -> None:
        self.model = model
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A CLI that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedHttp

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
        """False, and answered, for what was meant for another host."""
        host = urlsplit(self.path).hostname
        if host in {None, "127.0.0.1", "localhost"}:
            return True
        self._stray(str(host))
        return False

    def _stray(self, where: str) -> None:
        self.server.model.strays.append(where)
        self.close_connection = True
        self._send({"error": "there is no way out of here"}, 403)

    # -- an answer of the model ------------------------------------------------------------------------------------

    def _answer(self, dialect: Dialect, path: str, raw: bytes) -> None:
        model = self.server.model
        text = raw.decode("utf-8", "replace")
        asked = dialect.read(json.loads(text), path)
        prompt = asked.prompt
        is_side = prompt is None or not asked.tools
        status, message = model.status(is_side=is_side)
        has_key = any(self.headers.get(name) for name in KEY_HEADERS)
        model.note(Served(time.monotonic(), dialect.name, asked, model.without_secrets(text), has_key, status, is_side))
        answer = Answer("{}") if is_side or prompt is None else model.script.scene(prompt).answer(asked.answered)
        self._wait(max(answer.delay_s, _pace_s(dialect, text)))
        if status != 200:
            self._send(dialect.failure(status, message), status)
            return
        made = calls(model.cli, answer.actions, asked.tools, model.worktree(text), asked.answered)
        if asked.stream:
            self._stream(dialect.events(asked, answer, made), cut=answer.cut)
        elif answer.cut:
            self._drop()
        else:
            self._send(dialect.whole(asked, answer, made))

    def _wait(self, delay_s: float) -> None:
        """Until the time is over or the CLI has gone."""
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

    def _stream(self, events: Iterable[Event], *, cut: bool) -> None:
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

    def _send(self, answer: Json, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _pace_s(dialect: Dialect, text: str) -> float:
    return LONG_PACE_S if dialect.name == "gemini" and len(text) > LONG else PACE_S
