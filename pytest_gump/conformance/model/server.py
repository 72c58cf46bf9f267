"""The server: one port for every dialect, a record of all that was asked, and a trap for what is meant for elsewhere.

Its address is given to the CLIs as their proxy too, so that whatever they look for outside of loopback ends in
`strays` and not on the internet.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pytest_gump.conformance.model.handler import ScriptedHttp

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_gump.conformance.model.asked import Served
    from pytest_gump.conformance.model.script import Script

HIDDEN: Final = "***"


class ModelServer:
    """Serves while it is a context."""

    def __init__(
        self, cli: str, script: Script, worktrees: Path, *, depth: int = 1, secrets: tuple[str, ...] = ()
    ) -> None:
        """Paths of a script are relative to the folder `depth` levels below `worktrees` that a request names."""
        self.cli = cli
        self.script = script
        self.served: list[Served] = []
        self.strays: list[str] = []
        self._secrets = secrets
        self._worktrees = worktrees
        self._worktree = re.compile(re.escape(str(worktrees)) + r"(?:/[\w.@-]+)" * depth)
        self._failed = 0
        self._lock = threading.Lock()
        self._http = ScriptedHttp(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def main(self) -> list[Served]:
        """The requests that answer a prompt of gump."""
        return [one for one in self.served if not one.is_side]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def status(self, *, is_side: bool) -> tuple[int, str]:
        """How the next request is answered."""
        fault = self.script.fault
        with self._lock:
            if fault is None or (fault.times is not None and (is_side or self._failed >= fault.times)):
                return 200, ""
            self._failed += 1
            return fault.status, fault.message

    def note(self, served: Served) -> None:
        with self._lock:
            self.served.append(served)

    def worktree(self, text: str) -> Path:
        """The last one that a request names: the CLI tells the model where it works."""
        found = self._worktree.findall(text)
        return Path(found[-1]) if found else self._worktrees

    def without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text
