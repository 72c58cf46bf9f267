from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.ledger import Ledger, read_ledger

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path) -> list[str]:
    return [event["event"] for event in read_ledger(path)]


def test_half_a_line_that_a_crash_left_does_not_spoil_the_next_event(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    ledger = Ledger(path, lambda: 1.0)
    ledger.append("discarded", refs=1)
    ledger.close()
    with path.open("a") as file:
        file.write('{"event": "attempt_fini')
    again = Ledger(path, lambda: 2.0)
    again.append("discarded", refs=2)
    again.append("discarded", refs=3)
    again.close()
    assert written(path) == ["discarded"] * 3


def test_what_another_writes_now_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    ledger = Ledger(path, lambda: 1.0)
    ledger.append("discarded", refs=1)
    with path.open("a") as file:
        file.write('{"event": "attem')
    Ledger(path, lambda: 2.0).close()
    assert path.read_text().endswith('{"event": "attem')
    ledger.close()
