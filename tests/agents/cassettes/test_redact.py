"""Secrets and local paths are redacted from cassettes; ordinary text is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pytest_gump.agents.cassettes.redact import Redaction
from pytest_gump.system.secrets import Secrets

SECRET = 'very "secret"/value+1'
SLOT = Path("/home/bob/.cache/gump/worktrees/shop-1a2b/run-1")


def redaction(*secrets: str) -> Redaction:
    return Redaction(
        Secrets({str(number): secret for number, secret in enumerate(secrets)}), worktree=SLOT, home="/home/bob"
    )


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        (b'{"cwd":"/home/bob/.cache/gump/worktrees/shop-1a2b/run-1/a.py"}', b'{"cwd":"{{worktree}}/a.py"}'),
        (b'{"path":"/home/bob/.ssh/config"}', b'{"path":"{{home}}/.ssh/config"}'),
        (b"cd /home/bob", b"cd {{home}}"),
        (b"/home/bobby /home/bob.old /home/bob-2 x/home/bob", b"/home/bobby /home/bob.old /home/bob-2 x/home/bob"),
        (b"-home-bob--cache-gump-worktrees-shop-1a2b-run-1/x.jsonl", b"-worktree-/x.jsonl"),
    ],
    ids=["worktree", "home", "home-alone", "other-names", "name-of-a-folder"],
)
def test_local_paths_become_placeholders(line: bytes, cleaned: bytes) -> None:
    assert redaction().clean(line) == cleaned


@pytest.mark.parametrize("home", ["", "/", "/x", "relative"])
def test_a_home_that_is_in_every_path_is_not_replaced(home: str) -> None:
    assert Redaction(Secrets(), worktree=SLOT, home=home).clean(b"/x/y relative/z") == b"/x/y relative/z"


def test_a_worktree_behind_a_link_is_replaced_under_both_paths(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    cleaning = Redaction(Secrets(), worktree=tmp_path / "link", home="/nowhere")
    line = f"{tmp_path}/link/a.py {os.path.realpath(tmp_path)}/real/b.py".encode()
    assert cleaning.clean(line) == b"{{worktree}}/a.py {{worktree}}/b.py"


def test_a_secret_is_found_plain_in_json_and_in_a_url() -> None:
    texts = [SECRET, json.dumps({"a": SECRET}), "https://x/?key=very%20%22secret%22%2Fvalue%2B1"]
    masked = [redaction(SECRET).clean(text.encode()).decode() for text in texts]
    stars = "*" * len(SECRET)
    assert masked == [stars, json.dumps({"a": stars}), f"https://x/?key={stars}"]


def test_a_secret_that_is_a_prefix_of_another_leaves_no_rest() -> None:
    assert redaction("secret-1", "secret-1-and-more").clean(b"<secret-1-and-more>") == b"<" + b"*" * 17 + b">"


@pytest.mark.parametrize(
    "token",
    [
        "sk-ant-api03-aBcDeFgHiJkLmNoPqRsT",
        "sk-proj-aBcDeFgHiJkLmNoPqRsT",
        "AIzaSyA1234567890abcdefghijklmnopqrstu",
        "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
        "github_pat_11ABCDEFG0aBcDeFgHiJkLmNo",
        "glpat-aBcDeFgHiJkLmNoPqRsT",
        "xoxb-123456789012-abcdefghijkl",
        "hf_aBcDeFgHiJkLmNoPqRsTuVwX",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.SflKxwRJSMeKKF2QT4",
    ],
)
def test_tokens_are_recognised_by_their_form(token: str) -> None:
    assert redaction().clean(f"is {token}, so".encode()) == f"is {'*' * len(token)}, so".encode()


def test_bearer_tokens_and_private_keys_are_masked_completely() -> None:
    key = b"-----BEGIN RSA PRIVATE KEY-----\\nMIIEow==\\n-----END RSA PRIVATE KEY-----"
    assert redaction().clean(b"Authorization: Bearer abc.def-ghi_jkl~mno==") == b"Authorization: Bearer " + b"*" * 21
    assert redaction().clean(b"<" + key + b">") == b"<" + b"*" * len(key) + b">"


@pytest.mark.parametrize(
    "text",
    [
        "task-abcdefghijklmnopqrstuvwxyz",
        "sk-short",
        "the Bearer of this",
        "risk-assessment-of-the-whole-project",
        "eyJ.not.a token",
    ],
)
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert redaction(SECRET).clean(text.encode()) == text.encode()
