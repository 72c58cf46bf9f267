"""A conversation is copied to the place where Qwen Code looks for it from another folder."""

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
    """Return the folder of the chats, named as the CLI names it."""
    name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in str(folder))
    return home / "projects" / name / "chats"


def write_conversation(home: Path, folder: Path, *answers: str, at: int = 1) -> Path:
    """Write a conversation that belongs to a folder."""
    path = chats(home, folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"sessionId": ID, "cwd": str(folder), "text": text} for text in ("first", *answers)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    os.utime(path, ns=(at, at))
    return path


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_fork_in_another_folder_finds_a_copy_of_the_conversation(home: Path, tmp_path: Path) -> None:
    original = write_conversation(home, tmp_path / "slot-1", "second")
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


def test_a_resumed_session_is_not_copied(home: Path, tmp_path: Path) -> None:
    write_conversation(home, tmp_path / "slot-1")
    task = Task("impl", None, 1, "qwen", "Go on.", tmp_path / "b", "diff", session=SessionRef(ID, "qwen", "slot-1"))
    QwenAgent("qwen").command(task)
    assert not chats(home, tmp_path / "b").exists()


def test_an_older_copy_is_replaced_and_a_current_one_is_kept(home: Path, tmp_path: Path) -> None:
    write_conversation(home, tmp_path / "slot-1", at=1)
    copy_conversation(ID, tmp_path / "b")
    copy = chats(home, tmp_path / "b") / NAME
    first = copy.stat().st_ino
    copy_conversation(ID, tmp_path / "b")
    assert copy.stat().st_ino == first
    write_conversation(home, tmp_path / "slot-1", "second", at=2)
    copy_conversation(ID, tmp_path / "b")
    assert [record["text"] for record in read(copy)] == ["first", "second"]


def test_the_original_conversation_is_never_overwritten(home: Path, tmp_path: Path) -> None:
    write_conversation(home, tmp_path / "slot-1", at=1)
    copy_conversation(ID, tmp_path / "b")
    original = write_conversation(home, tmp_path / "slot-1", "second", at=2)
    before = original.read_bytes()
    copy_conversation(ID, tmp_path / "slot-1")
    assert original.read_bytes() == before


@pytest.mark.parametrize("first", ["", "{", "[]", '"words"'])
def test_files_without_a_conversation_are_ignored(home: Path, tmp_path: Path, first: str) -> None:
    write_conversation(home, tmp_path / "slot-1").write_text(first, encoding="utf-8")
    copy_conversation(ID, tmp_path / "b")
    assert not (chats(home, tmp_path / "b") / NAME).exists()


@pytest.mark.parametrize("odd", ["../../../evil", "*", "", "-rm", "11111111", f"{ID}/../x"])
def test_an_invalid_id_opens_no_file(home: Path, tmp_path: Path, odd: str) -> None:
    write_conversation(home, tmp_path / "slot-1")
    copy_conversation(odd, tmp_path / "b")
    assert [path.name for path in (home / "projects").iterdir()] == [chats(home, tmp_path / "slot-1").parent.name]


def test_an_unwritable_home_is_ignored(home: Path, tmp_path: Path) -> None:
    write_conversation(home, tmp_path / "slot-1")
    in_the_way = chats(home, tmp_path / "b").parent
    in_the_way.write_text("", encoding="utf-8")
    copy_conversation(ID, tmp_path / "b")
    assert in_the_way.read_text(encoding="utf-8") == ""
