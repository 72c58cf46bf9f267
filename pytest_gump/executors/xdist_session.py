"""Access to xdist's session: xdist starts, watches and replaces workers as usual, but its loop is replaced."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.executors.test_scheduler import TestsFirst
from pytest_gump.jobs.arguments import portable_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from queue import Queue

    import pytest

STARTS: Final = 3
"""Most attempts to start a replacement for a lost worker."""


class XdistSession:
    def __init__(self, config: pytest.Config, *, has_tests: bool) -> None:
        self._config = config
        self._has_tests = has_tests

    @property
    def _inner(self) -> Any:
        return self._config.pluginmanager.get_plugin("dsession")

    @property
    def queue(self) -> Queue[tuple[str, dict[str, Any]]]:
        """The queue of events of all workers."""
        queue: Queue[tuple[str, dict[str, Any]]] = self._inner.queue
        return queue

    @property
    def scheduler(self) -> TestsFirst:
        scheduler: TestsFirst = self._inner.sched
        return scheduler

    @property
    def should_stop(self) -> str:
        return str(self._inner.shouldstop or "")

    @property
    def has_collection_errors(self) -> bool:
        return bool(self._inner._failed_collection_errors)  # noqa: SLF001 - nothing else distinguishes them from failed tests

    def begin(self) -> None:
        """Create the scheduler of ordinary tests, and set the attributes that xdist's own loop sets."""
        hook = self._config.hook
        inner = hook.pytest_xdist_make_scheduler(config=self._config, log=self._inner.log) if self._has_tests else None
        self._inner.sched, self._inner.shouldstop = TestsFirst(self._config, inner), False

    def handle(self, event: str, about: dict[str, Any], forget_not_started: Callable[[], None]) -> None:
        """Let xdist handle an event. It may start a replacement for a lost worker."""
        is_about_tests = self._has_tests or event != "collectionfinish"
        with portable_arguments(self._config), nullcontext() if is_about_tests else self._silent():
            self._handle(event, about, forget_not_started)
        if event == "collectionfinish":
            session = self._inner._session  # noqa: SLF001 - xdist sets its count of tests, which excludes our steps
            session.testscollected = len(about["ids"]) + len(session.items)

    def end_worker(self, node: Any, error: object) -> None:
        """Do what xdist does when a worker ends, but start no replacement."""
        self._config.hook.pytest_testnodedown(node=node, error=error)
        self._inner._active_nodes.discard(node)  # noqa: SLF001 - xdist counts its workers there

    def _handle(self, event: str, about: dict[str, Any], forget_not_started: Callable[[], None]) -> None:
        for _ in range(STARTS):
            try:
                getattr(self._inner, f"worker_{event}")(**about)
            except (EOFError, OSError):
                if event != "errordown":
                    raise
                forget_not_started()  # the replacement was lost before it was ready
            else:
                return
        self._inner._active_nodes.discard(about["node"])  # noqa: SLF001 - as xdist does when it starts no replacement

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Hide xdist's report of the number of tests on each worker."""
        terminal, self._inner.terminal = self._inner.terminal, None
        try:
            yield
        finally:
            self._inner.terminal = terminal
