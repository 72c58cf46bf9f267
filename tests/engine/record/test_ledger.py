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


def test_a_broken_last_line_that_readers_pass_over_does_not_spoil_what_is_written_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    for rest in ("\x00\x00\n", '{"event": "attem\n', "\n", "[1]\n"):
        path.write_text('{"event": "discarded", "at": 1.0}\n' + rest)
        assert written(path) == ["discarded"]
        ledger = Ledger(path, lambda: 2.0)
        ledger.append("discarded", refs=2)
        ledger.close()
        assert written(path) == ["discarded"] * 2


def test_half_a_line_goes_although_somebody_looks_whether_the_ledger_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    path.write_text('{"event": "discarded", "at": 1.0}\n{"event": "attem')
    with lock_out_writers(path) as is_ours:
        assert is_ours
        opened = ThreadPoolExecutor().submit(Ledger, path, lambda: 2.0)
        time.sleep(0.1)
    opened.result(5).append("discarded", refs=2)
    assert written(path) == ["discarded"] * 2


@given(st.text(st.characters(exclude_categories=())))
def test_any_string_can_be_written_as_utf8_and_comes_back(text: str) -> None:
    written = json_text({"name": text}).encode()
    back = json.loads(written)["name"]
    # Two halves of a pair that come side by side are one character to every reader of JSON.
    assert back.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


def test_what_is_readable_stays_readable() -> None:
    assert json_text({"name": "café"}) == '{"name":"café"}'
