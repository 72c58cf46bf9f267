from __future__ import annotations

import base64
import json
import time
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.system.written import Written, masked

from tests.kits.examples import examples

SECRETS = ["sk-ant-0123456789", 'quo"te\\d/&<é>\U0001f511', "p@ss%word+/=0", "x" * 120]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=40)


def escaped(text: str, style: str) -> str:
    units = text.encode("utf-16-be")
    codes = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    return "".join(rf"\u{code.upper() if style == 'upper' else code}" for code in codes)


def forms(text: str) -> dict[str, str]:
    data = text.encode()
    lines = base64.encodebytes(data).decode()
    return {
        "plain": text,
        "JSON": json.dumps(text),
        "JSON in JSON": json.dumps(json.dumps({"a": text})),
        "JSON of UTF-8": json.dumps(text, ensure_ascii=False),
        "JSON, slashes": json.dumps(text).replace("/", r"\/"),
        "escapes": escaped(text, "lower"),
        "escapes in capitals": escaped(text, "upper"),
        "escapes in JSON": json.dumps(escaped(text, "lower")),
        "some escapes": text[0] + escaped(text[1:4], "upper") + text[4:],
        "URL": quote(text, safe=""),
        "all of a URL": "".join(f"%{byte:02X}" for byte in data),
        "XML": escape(text),
        "XML numbers": "".join(f"&#x{ord(one):X};" for one in text),
        "hexadecimal": data.hex(),
        "HEXADECIMAL": data.hex().upper(),
        "base64, wrapped": lines,
        "base64 in JSON": json.dumps(lines),
        "base64 in a patch": "".join(f"+{line}\n" for line in lines.splitlines()),
    }


@given(TEXTS)
@examples(50)
def test_text_is_found_in_every_form(text: str) -> None:
    written = Written(text)
    for name, form in forms(text).items():
        assert written.is_in(f"before {form} after"), name
        assert written.is_in(f"before {form} after".encode()), name


@given(TEXTS, st.binary(max_size=4), st.binary(max_size=4), st.booleans())
@examples(100)
def test_base64_is_found_at_every_alignment(text: str, before: bytes, after: bytes, safe: bool) -> None:
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    assert Written(text).is_in(encode(before + text.encode() + after))


@pytest.mark.parametrize("secret", SECRETS)
def test_masked_text_is_found_in_no_form(secret: str) -> None:
    written = Written(secret)
    for form in forms(secret).values():
        text = f'{{"a": "{form}", "b": 1}}'
        parts, end = masked(text, written.spans(text), len(text), lambda _: "***")
        clean = "".join(parts) + text[end:]
        assert not written.is_in(clean)
        assert clean.startswith('{"a": "')
        assert clean.endswith('", "b": 1}')
        assert "***" in clean


@given(st.text(max_size=200), st.text(max_size=200))
def test_other_text_does_not_change(before: str, after: str) -> None:
    text = before + after
    parts, end = masked(text, Written("sk-ant-0123456789").spans(text), len(text), lambda _: "***")
    assert parts == []
    assert end == 0


@pytest.mark.parametrize("hostile", [b"\\" * 1_000_000, b"c2" * 500_000, b"\n+" * 500_000, b"s" * 1_000_000])
def test_search_in_hostile_text_is_not_quadratic(hostile: bytes) -> None:
    began = time.process_time()
    assert not Written("sk-ant-0123456789").is_in(hostile)
    assert time.process_time() - began < 5
