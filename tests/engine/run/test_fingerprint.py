"""Fingerprints of attempts: hashes that resumed runs compare, and commands without paths of a machine."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.run.fingerprint import PARTS, changed_packages, differences, hashed, portable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
IDENTITIES = st.dictionaries(st.sampled_from([*PARTS, "unknown"]), st.sampled_from(["", "a", "b"]))


@pytest.mark.parametrize("folder", ["/opt/venv", "/home/me/my project/.venv"])
def test_portable_command_does_not_depend_on_the_path_of_python(folder: str) -> None:
    quoted = f"'{folder}/python'" if " " in folder else f"{folder}/python"
    places = {f"{folder}/lib/check.py": "check", f"{folder}/python": "python"}
    assert portable(f"{quoted} -m pytest", places) == "python -m pytest"
    assert portable(f"{folder}/python {folder}/lib/check.py", places) == "python check"
    assert portable("make test", places) == "make test"


@given(VALUES, VALUES)
def test_hashes_are_equal_if_and_only_if_the_values_are(first: object, second: object) -> None:
    is_same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True) or not (first or second)
    assert (hashed(first) == hashed(second)) == is_same


@given(VALUES)
def test_hash_has_sixteen_hex_digits_or_none_for_an_empty_value(value: object) -> None:
    digits = hashed(value)
    assert len(digits) == (16 if value else 0)
    assert set(digits) <= set("0123456789abcdef")


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2))
def test_hash_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert hashed(value) == hashed(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("impl", "056644f4f6496b85"),
        ({"b": [1, None], "a": "é"}, "ef8565276ce73f18"),
        (["\ud800"], "335ffac769e5b3ce"),
        ([PurePosixPath("src/a.py")], "ab74f77bcbbda6f0"),
    ],
)
def test_hashes_are_those_of_earlier_versions(value: object, digits: str) -> None:
    assert hashed(value) == digits


@given(IDENTITIES, IDENTITIES)
def test_differences_have_a_fixed_order_and_a_missing_part_equals_an_empty_one(
    then: dict[str, str], now: dict[str, str]
) -> None:
    parts = differences(then, now)
    assert parts == differences(now, then)
    assert parts == [part for part in PARTS if part in parts]
    assert set(parts) == {part for part, _ in set(_filled(then)) ^ set(_filled(now))}


def _filled(identity: dict[str, str]) -> list[tuple[str, str]]:
    return [(part, value) for part, value in identity.items() if value and part in PARTS]


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        ("acme 1.0 (aa)", "acme 1.1 (bb)", "package acme (1.0 to 1.1)"),
        ("acme 1.0 (aa)", "acme 1.0 (bb)", "package acme (1.0, other files)"),
        ("", "acme 1.0 (aa)", "package acme (added)"),
        ("acme 1.0 (aa)", "", "package acme (removed)"),
        ("acme 1.0 (aa); b 2 (cc)", "b 3 (dd); acme 1.0 (aa)", "package b (2 to 3)"),
        ("acme 1.0 (aa)", "b 2 (cc)", "package acme (removed), package b (added)"),
    ],
)
def test_a_changed_package_is_named_with_its_versions(then: str, now: str, text: str) -> None:
    assert changed_packages(then, now) == text
