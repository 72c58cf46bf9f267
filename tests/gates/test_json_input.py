from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.json_input import MAX_BYTES, BadJsonError, fenced_json, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_json_is_read_with_and_without_a_byte_order_mark(value: object) -> None:
    data = json.dumps(value).encode()
    assert read_json(data) == read_json(b"\xef\xbb\xbf" + data) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON (line 1, column 1): Expecting value"),
        (b'"\n"', "is not JSON (line 1, column 2): Invalid control character"),
        (b"[1,\n2,]", "is not JSON (line 2, column 3): Expecting value"),
        (b"\xff", "is not UTF-8 (byte 0)"),
        (b'[{"a": 1, "a": 2}]', "has the key 'a' twice in one object"),
        (b"[NaN]", "contains NaN, which is not JSON"),
        (b"-Infinity", "contains -Infinity, which is not JSON"),
        (b"[" * 100_000, "is nested too deep"),
        (b"9" * 5000, "contains a number that is too long"),
        (b" " * (MAX_BYTES + 1), "is larger than 1024 KiB"),
    ],
)
def test_each_mistake_has_a_plain_message(data: bytes, message: str) -> None:
    with pytest.raises(BadJsonError) as caught:
        read_json(data)
    assert str(caught.value) == message


@given(st.binary())
def test_any_bytes_are_a_value_or_one_kind_of_error(data: bytes) -> None:
    with contextlib.suppress(BadJsonError):
        value = read_json(data)
        assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Here:\n```json\n[1]\n```\nDone.", b"[1]"),
        ("```json\n[1]\n```\n\n```json\n[2]\n```", b"[2]"),
        ("```json\n[1]\n```\n```python\nx\n```", b"[1]"),
        ("~~~ JSON\n[1]\n~~~", b"[1]"),
        ("````json\n[\n```\n]\n````", b"[\n```\n]"),
        ("  ```json\r\n[1]\r\n  ```", b"[1]"),
        ("```json\n[1]", None),
        ("```\n[1]\n```", None),
        ("```markdown\n```json\n```", None),
        ("[1]", None),
        ("", None),
    ],
)
def test_the_last_complete_json_block_of_a_message_counts(text: str, expected: bytes | None) -> None:
    assert fenced_json(text) == expected


@given(VALUES.map(lambda value: json.dumps(value, indent=1)), st.text(alphabet="ab \n"))
def test_a_block_is_read_back_unchanged(block: str, before: str) -> None:
    assert fenced_json(f"{before}\n```json\n{block}\n```\nbye") == block.encode()


@given(st.text(alphabet="`~json\n a"))
def test_any_message_has_a_block_or_none(text: str) -> None:
    assert fenced_json(text) is None or isinstance(fenced_json(text), bytes)


def test_a_hostile_message_is_read_quickly() -> None:
    started = time.monotonic()
    assert fenced_json("```" + "a" * 200_000 + "`") is None
    assert time.monotonic() - started < 2
