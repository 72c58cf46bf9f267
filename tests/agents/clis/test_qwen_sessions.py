"""A conversation is laid where Qwen Code looks for it from another folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import SessionRef, Task
from pytest_gump.agents.clis.qwen import QwenAgent
from pytest_gump.agents.clis.qwen_sessions import copy_conversation

if TYPE_CHECKING:
    from pathlib import Path

ID = "11111111-2222-4333-8444-555555555555"
NAME = f"{ID}.jsonl"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "qwen"
    home.mkdir()
    monkeypatch.setenv("QWEN_HOME", str(home))
    return home


def chats(home: Path, folder: Path) -> Path:
    """As the CLI names it."""
    name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in str(folder))
    return home / "projects" / name / "chats"


def held(home: Path, folder: Path, *answers: str, at: int = 1) -> Path:
    """A conversation that was held in a folder."""
    path = chats(home, folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"sessionId": ID, "cwd": str(folder), "text": text} for text in ("first", *answers)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    os.utime(path, ns=(at, at))
    return path


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_fork_elsewhere_finds_a_copy_that_belongs_there(home: Path, tmp_path: Path) -> None:
    original = held(home, tmp_path / "slot-1", "second")
    before = original.read_bytes()
    there = tmp_path / "slot_2.b"
    session = SessionRef(ID, "qwen", "slot-1")
    task = Task("impl", None, 1, "qwen", "Go on.", there, "diff", session=session, fork=True)
    argv = QwenAgent("qwen").command(task).argv
    assert {f"--resume={ID}", "--fork-session"} <= set(argv)
    copy = read(chats(home, there) / NAME)
    assert copy[0] == {"sessionId": ID, "cwd": str(there), "text": "first"}
    assert copy[1:] == read(original)[1:]
    assert original.read_bytes() == before
    assert [path.name for path in chats(home, there).iterdir()] == [NAME]


def test_a_session_that_is_resumed_is_not_copied(home: Path, tmp_path: Path) -> None:
    held(home, tmp_path / "slot-1")
    task = Task("impl", None, 1, "qwen", "Go on.", tmp_path / "b", "diff", session=SessionRef(ID, "qwen", "slot-1"))
    QwenAgent("qwen").command(task)
    assert not chats(home, tmp_path / "b").exists()


def test_an_older_copy_is_renewed_and_one_that_is_as_it_was_is_left(home: Path, tmp_path: Path) -> None:
    held(home, tmp_path / "slot-1", at=1)
    copy_conversation(ID, tmp_path / "b")
    copy = chats(home, tmp_path / "b") / NAME
    first = copy.stat().st_ino
    copy_conversation(ID, tmp_path / "b")
    assert copy.stat().st_ino == first
    held(home, tmp_path / "slot-1", "second", at=2)
    copy_conversation(ID, tmp_path / "b")
    assert [record["text"] for record in read(copy)] == ["first", "second"]


def test_the_conversation_itself_is_never_written_over(home: Path, tmp_path: Path) -> None:
    held(home, tmp_path / "slot-1", at=1)
    copy_conversation(ID, tmp_path / "b")
    original = held(home, tmp_path / "slot-1", "second", at=2)
    before = original.read_bytes()
    copy_conversation(ID, tmp_path / "slot-1")
    assert original.read_bytes() == before


@pytest.mark.parametrize("first", ["", "{", "[]", '"words"'])
def test_what_is_no_conversation_is_left_alone(home: Path, tmp_path: Path, first: str) -> None:
    held(home, tmp_path / "slot-1").write_text(first, encoding="utf-8")
    copy_conversation(ID, tmp_path / "b")
    assert not (chats(home, tmp_path / "b") / NAME).exists()


@pytest.mark.parametrize("odd", ["../../../evil", "*", "", "-rm", "11111111", f"{ID}/../x"])
def test_an_id_that_is_none_reaches_no_file(home: Path, tmp_path: Path, odd: str) -> None:
    held(home, tmp_path / "slot-1")
    copy_conversation(odd, tmp_path / "b")
    assert [path.name for path in (home / "projects").iterdir()] == [chats(home, tmp_path / "slot-1").parent.name]


def test_a_home_that_cannot_be_written_is_left_to_the_cli(home: Path, tmp_path: Path) -> None:
    held(home, tmp_path / "slot-1")
    in_the_way = chats(home, tmp_path / "b").parent
    in_the_way.write_text("", encoding="utf-8")
    copy_conversation(ID, tmp_path / "b")
    assert in_the_way.read_text(encoding="utf-8") == ""
