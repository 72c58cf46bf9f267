"""Ordinary tests on workers: xdist's scheduler runs them first. Then the workers carry out orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class TestsFirst:
    """Wraps xdist's scheduler, and shuts workers down when no ordinary tests are left.

    For xdist, such a worker is shut down. For pytest-gump, it is now ready for orders.
    """

    def __init__(self, config: Any, inner: Any) -> None:
        self.config = config
        """Read by other plugins."""
        self._inner = inner
        """xdist's scheduler; None if the session has no ordinary tests."""
        self._late: list[Any] = []
        self.is_over = inner is None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def nodes(self) -> list[Any]:
        return [*(self._inner.nodes if self._inner is not None else ()), *self._late]

    @property
    def collection_is_completed(self) -> bool:
        return self.is_over or bool(self._inner.collection_is_completed)

    @property
    def tests_finished(self) -> bool:
        return self.is_over or bool(self._inner.tests_finished)

    @property
    def has_pending(self) -> bool:
        return not self.is_over and bool(self._inner.has_pending)

    def add_node(self, node: Any) -> None:
        if self.is_over:
            self._late.append(node)
        else:
            self._inner.add_node(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        if self.is_over or node in self._late:
            node.shutdown()
        else:
            self._inner.add_node_collection(node, collection)

    def schedule(self) -> None:
        if not self.is_over:
            self._inner.schedule()

    def remove_node(self, node: Any) -> str | None:
        if node in self._late:
            self._late.remove(node)
            return None
        if self._inner is None:
            raise KeyError(node)
        crashed: str | None = self._inner.remove_node(node)
        return crashed

    def look(self) -> None:
        """Update `is_over`. When all ordinary tests are distributed, let the workers run their last ones."""
        if self.is_over:
            return
        if self.tests_finished:
            self.shut_down()
        self.is_over = self.collection_is_completed and not self.has_pending

    def shut_down(self) -> None:
        for node in self.nodes:
            if not node.shutting_down:
                node.shutdown()

    def give_up(self) -> None:
        """End the ordinary tests, because no worker is left to run the rest."""
        self.is_over = True
