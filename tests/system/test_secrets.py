from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_gump.system.secrets import Secrets

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {
    "API_KEY": "sk-0123456789",
    "SHORT_TOKEN": "abc",
    "DATABASE_URL": "postgres://me:p%40ssword123@db/x",
    "PLAIN_URL": "https://example.org/a/long/path",
    "AUTH_FILE": "/home/me/.config/auth.json",
    "RETRIES": "1234567890",
}


def test_secrets_are_recognized_by_name_and_as_passwords_of_urls() -> None:
    secrets = Secrets.named([*ENVIRONMENT, "NOT_SET_KEY"], ENVIRONMENT)
    assert secrets.values == {"API_KEY": "sk-0123456789", "DATABASE_URL": "p@ssword123"}


def test_invalid_url_is_not_a_secret() -> None:
    assert not Secrets.named(["A_KEY"], {"A_KEY": "http://[broken"})


def test_secrets_are_masked_at_every_depth_of_plain_data() -> None:
    secrets = Secrets.named(["API_KEY"], ENVIRONMENT)
    data = {"a": ["x sk-0123456789 y", 1, None], "b": {"c": "sk-0123456789"}}
    assert secrets.mask(data) == {"a": ["x *** y", 1, None], "b": {"c": "***"}}
    assert Secrets().mask(data) is data


def test_secret_that_contains_another_one_is_masked_completely(tmp_path: Path) -> None:
    secrets = Secrets({"SHORT_KEY": "0123456789", "LONG_KEY": "sk-0123456789-tail"})
    assert secrets.mask("a sk-0123456789-tail b 0123456789 c") == "a *** b *** c"
    (tmp_path / "stream").write_bytes(b"x" * ((1 << 20) - 14) + b"sk-0123456789-tail 0123456789")  # spans two blocks
    assert secrets.mask_files(tmp_path) == ["stream"]
    assert (tmp_path / "stream").read_bytes() == b"x" * ((1 << 20) - 14) + b"*** ***"


def test_overlapping_secrets_are_starred_with_their_length() -> None:
    secrets = Secrets({"A_KEY": "sk-0123456789", "B_KEY": "6789-tail-of-it"})
    assert secrets.star(b"a sk-0123456789 b") == b"a ************* b"
    assert secrets.star(b"a sk-0123456789-tail-of-it b") == b"a " + b"*" * 24 + b" b"
    assert Secrets().star(b"as it is") == b"as it is"


def test_secrets_are_found_only_in_added_lines_of_a_patch(tmp_path: Path) -> None:
    patch = tmp_path / "diff.patch"
    patch.write_text(
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-old sk-0123456789\n sk-0123456789\n+new\n"
        "--- a/y\n+++ b/y\n@@ -0,0 +1 @@\n+key = sk-0123456789\n"
    )
    assert Secrets.named(["API_KEY"], ENVIRONMENT).added_in(patch) == ["API_KEY in y"]


def test_no_secret_is_found_in_a_file_if_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("sk-0123456789")
    assert Secrets().names_in_file(tmp_path / "file") == []
    assert Secrets({"A_KEY": "sk-0123456789"}).names_in_file(tmp_path / "file") == ["A_KEY"]


def test_files_with_secrets_are_masked_in_place_and_others_do_not_change(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "stream").write_bytes(b"\xff sk-0123456789\nnext\n")
    (tmp_path / "clean").write_text("nothing")
    assert Secrets.named(["API_KEY"], ENVIRONMENT).mask_files(tmp_path) == ["sub/stream"]
    assert (tmp_path / "sub" / "stream").read_bytes() == b"\xff ***\nnext\n"


def test_secret_across_two_blocks_of_a_long_line_is_found_and_masked(tmp_path: Path) -> None:
    secrets = Secrets.named(["API_KEY"], ENVIRONMENT)
    for before in ((1 << 20) - 13, (1 << 20) - 5, (1 << 20) - 1, 1 << 20):
        file = tmp_path / "stream"
        file.write_bytes(b"x" * before + b"sk-0123456789" + b"y" * (1 << 20))
        assert secrets.names_in_file(file) == ["API_KEY"]
        assert secrets.mask_files(tmp_path) == ["stream"]
        assert file.read_bytes() == b"x" * before + b"***" + b"y" * (1 << 20)


def test_secret_escaped_by_json_is_found_and_masked(tmp_path: Path) -> None:
    secrets = Secrets.named(["A_TOKEN"], {"A_TOKEN": 'quo"ted\\é-0123'})
    assert secrets.values
    for ascii_only in (True, False):
        line = json.dumps({"text": 'is quo"ted\\é-0123.'}, ensure_ascii=ascii_only)
        (tmp_path / "stream.ndjson").write_text(line, encoding="utf-8")
        assert secrets.names_in(line) == ["A_TOKEN"]
        assert secrets.mask_files(tmp_path) == ["stream.ndjson"]
        assert json.loads((tmp_path / "stream.ndjson").read_bytes()) == {"text": "is ***."}
        assert secrets.mask({"said": line}) == {"said": '{"text": "is ***."}'}
