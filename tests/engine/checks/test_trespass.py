from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import ToolCall
from pytest_gump.engine.checks import bounds
from pytest_gump.engine.checks.trespass import LEFT, Trespass
from pytest_gump.system.real_path import real_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout/sub").mkdir(parents=True)
    (tmp_path / "slot").mkdir()
    (tmp_path / "checkout/old.txt").write_text("old")
    return tmp_path / "checkout"


@pytest.fixture
def trespass(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Trespass:
    later = (checkout / "old.txt").stat().st_ctime_ns + 10**9
    with monkeypatch.context() as patch:
        patch.setattr("time.time_ns", lambda: later)
        return Trespass(checkout.parent / "slot", checkout)


def call(trespass: Trespass, path: Path | str) -> None:
    trespass.feed(ToolCall("Write", path=str(path)))


@pytest.mark.parametrize("name", ["old.txt", "new.txt", "gone/new.txt", "sub"])
def test_tool_call_without_an_effect_is_not_a_write(trespass: Trespass, checkout: Path, name: str) -> None:
    call(trespass, checkout / name)
    assert trespass.written() is None
    assert trespass.notes() == [
        f"tried to write into the user's checkout, but nothing changed there: {checkout / name}"
    ]


def test_new_file_is_a_write(trespass: Trespass, checkout: Path) -> None:
    call(trespass, checkout / "new.txt")
    assert trespass.written() is None
    (checkout / "new.txt").write_text("")
    assert trespass.written() == str(checkout / "new.txt")


def test_files_that_were_written_are_named_because_they_stay(trespass: Trespass, checkout: Path) -> None:
    for name in ("new.txt", "refused.txt", "sub/more.txt"):
        call(trespass, checkout / name)
    (checkout / "new.txt").write_text("")
    assert trespass.written() == str(checkout / "new.txt")
    (checkout / "sub/more.txt").write_text("")
    assert trespass.notes() == [f"{LEFT}: {checkout / 'new.txt'}, {checkout / 'sub/more.txt'}"]


def test_removed_file_is_a_write(trespass: Trespass, checkout: Path) -> None:
    call(trespass, "../checkout/old.txt")
    (checkout / "old.txt").unlink()
    assert trespass.written() == "../checkout/old.txt"


def test_file_written_before_its_call_is_reported_is_a_write(checkout: Path) -> None:
    trespass = Trespass(checkout.parent / "slot", checkout)
    (checkout / "old.txt").write_text("new")
    call(trespass, checkout / "old.txt")
    assert trespass.written() == str(checkout / "old.txt")


def test_each_call_resolves_only_its_own_path(
    trespass: Trespass, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []

    def counting(path: str) -> str:
        resolved.append(path)
        return real_path(path)

    monkeypatch.setattr(bounds, "real_path", counting)
    for number in range(3):
        call(trespass, f"new{number}.py")
    trespass.feed(ToolCall("Bash", command="make"))
    assert resolved == [str(checkout.parent / f"slot/new{number}.py") for number in range(3)]


def test_paths_in_the_worktree_and_other_events_are_ignored(trespass: Trespass, checkout: Path) -> None:
    call(trespass, "new.py")
    call(trespass, "bad\0name")
    trespass.feed(ToolCall("Bash", command=f"rm -rf {checkout}"))
    assert trespass.notes() == []
