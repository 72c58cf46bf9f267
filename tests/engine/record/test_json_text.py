from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.record.json_text import json_text

TEXT = st.text(st.characters(exclude_categories=()))


@given(TEXT)
def test_any_string_can_be_written_as_utf8_and_comes_back(text: str) -> None:
    written = json_text({"name": text}).encode()
    back = json.loads(written)["name"]
    # Two halves of a pair that come side by side are one character to every reader of JSON.
    assert back.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


def test_what_is_readable_stays_readable() -> None:
    assert json_text({"name": "café"}) == '{"name":"café"}'
