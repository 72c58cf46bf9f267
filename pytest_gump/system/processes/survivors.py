"""Whether anything lives of what an attempt had started, where its supervisor cannot be asked any more."""

from __future__ import annotations

from pytest_gump.system.processes.process_table import has_mark, processes


def is_anything_left(mark: str) -> bool:
    return any(has_mark(pid, mark) for pid in processes())
