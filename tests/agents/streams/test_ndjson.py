from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.streams import ndjson

MIB = 1 << 20


@given(value=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=4))
@pytest.mark.parametrize("around", ["{}", " \t{}\r", "{} "])
def test_an_object_is_read_like_json_loads(value: dict[str, object], around: str) -> None:
    document = around.replace("{}", json.dumps(value))
    assert ndjson.parse_object(document.encode()) == value


@pytest.mark.parametrize("line", [b"", b"{", b'{"a":1}{"a":2}', b'{"a":1} x', b"[]", b"1", b'"a"', b"\xa0{}", b"{]"])
def test_other_lines_are_not_objects(line: bytes) -> None:
    assert ndjson.parse_object(line) is None


def test_bytes_that_cannot_be_decoded_are_replaced() -> None:
    assert ndjson.parse_object(b'{"a":"x\xffy"}') == {"a": "x\ufffdy"}


@pytest.mark.parametrize("part", ['def f(): return "a"\n', "\\" * 7, "é😀", "\x00\x1f"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_long_text_of_a_very_long_line_is_cut_and_the_rest_is_kept(part: str, ascii_only: bool) -> None:
    text = part * (21 * MIB // 10 // len(part))
    record = {"type": 'a "b" \\', "output": text, "more": [{"text": text, "short": "😀" * 9}], "exit": 3}
    parsed = ndjson.parse_object(json.dumps(record, ensure_ascii=ascii_only).encode())
    assert parsed is not None
    output = ndjson.text(parsed, "output") or ""
    assert 20_000 < len(output) < MIB
    assert text.startswith(output.rstrip("\ufffd"))
    assert ndjson.sections(parsed, "more")[0]["short"] == "😀" * 9
    assert (parsed["type"], parsed["exit"]) == ('a "b" \\', 3)


@pytest.mark.parametrize("line", [b'{"a":"' + b'\\"' * (5 * MIB // 2), b'"' * 5 * MIB, b'{"a":' + b"[" * 5 * MIB])
def test_a_very_long_broken_line_is_read_as_fast_as_a_valid_one(line: bytes) -> None:
    began = time.process_time()
    assert ndjson.parse_object(line) is None
    assert time.process_time() - began < 10
