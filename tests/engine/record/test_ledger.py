from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.record.ledger import Ledger, json_text, lock_out_writers, read_ledger

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path) -> list[str]:
    return [event["event"] for event in read_ledger(path)]


def test_incomplete_line_after_a_crash_does_not_damage_the_next_event(tmp_path: Path) -> None:
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


def test_incomplete_line_of_another_writer_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    ledger = Ledger(path, lambda: 1.0)
    ledger.append("discarded", refs=1)
    with path.open("a") as file:
        file.write('{"event": "attem')
    Ledger(path, lambda: 2.0).close()
    assert path.read_text().endswith('{"event": "attem')
    ledger.close()


def test_invalid_last_line_does_not_damage_the_next_event(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    for rest in ("\x00\x00\n", '{"event": "attem\n', "\n", "[1]\n"):
        path.write_text('{"event": "discarded", "at": 1.0}\n' + rest)
        assert written(path) == ["discarded"]
        ledger = Ledger(path, lambda: 2.0)
        ledger.append("discarded", refs=2)
        ledger.close()
        assert written(path) == ["discarded"] * 2


def test_incomplete_line_is_removed_after_a_reader_has_released_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    path.write_text('{"event": "discarded", "at": 1.0}\n{"event": "attem')
    with lock_out_writers(path) as is_ours:
        assert is_ours
        opened = ThreadPoolExecutor().submit(Ledger, path, lambda: 2.0)
        time.sleep(0.1)
    opened.result(5).append("discarded", refs=2)
    assert written(path) == ["discarded"] * 2


@given(st.text(st.characters(exclude_categories=())))
def test_any_string_is_written_as_utf8_and_read_back(text: str) -> None:
    written = json_text({"name": text}).encode()
    back = json.loads(written)["name"]
    # JSON readers join two adjacent halves of a surrogate pair into one character.
    assert back.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


def test_readable_characters_are_not_escaped() -> None:
    assert json_text({"name": "café"}) == '{"name":"café"}'
