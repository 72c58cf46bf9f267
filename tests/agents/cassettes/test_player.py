from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.cassettes import player
from pytest_gump.agents.cassettes.cassette import write_take

if TYPE_CHECKING:
    from pathlib import Path

BINARY = bytes(range(256)) * 40


def git(repository: Path, *words: str) -> bytes:
    environment = {"PATH": os.environ["PATH"], "HOME": str(repository), "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=n", "-c", "user.email=e@localhost")
    return subprocess.run(
        ["git", *identity, *words], cwd=repository, env=environment, check=True, capture_output=True
    ).stdout


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    """A repository with a text file, a binary file and one to delete."""
    path = tmp_path / "slot"
    path.mkdir()
    git(path, "init", "-q")
    (path / "a.txt").write_text("one\ntwo\n")
    (path / "old.txt").write_text("old\n")
    (path / "pixels.bin").write_bytes(BINARY)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "base")
    return path


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassette"


def command(take: Path, slot: Path, delay: float = 0) -> list[str]:
    return [sys.executable, "-I", "-S", player.__file__, str(take), str(slot), str(delay)]


def play(take: Path, slot: Path, delay: float = 0) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(take, slot, delay),
        cwd=slot,
        input=b"the prompt\n" * 20_000,
        capture_output=True,
        check=False,
        timeout=30,
    )


def test_the_stream_is_printed_as_it_was_and_the_end_is_the_recorded_one(cassette: Path, slot: Path) -> None:
    raw = b'{"type": "turn"}\nnot json \xff\0\n'
    take = write_take(cassette, step="s", stream=raw.splitlines(), stderr="warned\n", exit_code=7)
    done = play(cassette / take.folder, slot)
    assert (done.stdout, done.stderr, done.returncode) == (raw, b"warned\n", 7)


def test_a_binary_patch_of_the_tree_is_applied(cassette: Path, slot: Path) -> None:
    (slot / "a.txt").write_text("one\n2\n")
    (slot / "old.txt").unlink()
    (slot / "pixels.bin").write_bytes(BINARY[::-1])
    (slot / "new.bin").write_bytes(b"\0\1\2")
    (slot / "run.sh").write_text("#!/bin/sh\n")
    (slot / "run.sh").chmod(0o755)
    git(slot, "add", "-A")
    patch = git(slot, "diff", "--cached", "--binary")
    tree = git(slot, "write-tree")
    git(slot, "reset", "-q", "--hard")
    take = write_take(cassette, step="s", patch=patch)
    assert play(cassette / take.folder, slot).returncode == 0
    git(slot, "add", "-A")
    assert git(slot, "write-tree") == tree
    assert (slot / "pixels.bin").read_bytes() == BINARY[::-1]


def test_a_patch_that_does_not_fit_is_refused_before_anything_is_printed(cassette: Path, slot: Path) -> None:
    (slot / "a.txt").write_text("one\n2\n")
    patch = git(slot, "diff", "--binary")
    (slot / "a.txt").write_text("something else\n")
    take = write_take(cassette, step="s", patch=patch, stream=[{"type": "turn"}], files={"b.txt": "b"})
    done = play(cassette / take.folder, slot)
    assert (done.stdout, done.returncode) == (b"", player.REFUSED)
    assert done.stderr.startswith(b"cassette: the recorded change does not fit this tree: error: patch failed: a.txt:1")
    assert not (slot / "b.txt").exists()


def test_git_variables_of_the_caller_do_not_lead_the_patch_elsewhere(
    cassette: Path, slot: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (slot / "a.txt").write_text("one\n2\n")
    patch = git(slot, "diff", "--binary")
    git(slot, "checkout", "-q", "a.txt")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    take = write_take(cassette, step="s", patch=patch)
    assert play(cassette / take.folder, slot).returncode == 0
    assert (slot / "a.txt").read_text() == "one\n2\n"


def test_files_are_written_whole_and_others_deleted(cassette: Path, slot: Path) -> None:
    take = write_take(
        cassette,
        step="s",
        files={"src/new.py": "x = 1\n", "a.txt": "", "b.bin": b"\0\xff"},
        delete=["old.txt", "gone.txt"],
    )
    (cassette / take.folder / "files" / "b.bin").chmod(0o755)
    assert play(cassette / take.folder, slot).returncode == 0
    assert (slot / "src" / "new.py").read_text() == "x = 1\n"
    assert (slot / "a.txt").read_bytes() == b""
    assert (slot / "b.bin").read_bytes() == b"\0\xff"
    assert os.access(slot / "b.bin", os.X_OK)
    assert not (slot / "old.txt").exists()


def test_a_whole_folder_can_be_deleted(cassette: Path, slot: Path) -> None:
    (slot / "folder" / "deep").mkdir(parents=True)
    (slot / "folder" / "deep" / "x").write_text("")
    take = write_take(cassette, step="s", delete=["folder"])
    assert play(cassette / take.folder, slot).returncode == 0
    assert not (slot / "folder").exists()


def test_hand_over_files_go_to_their_folder(cassette: Path, slot: Path) -> None:
    take = write_take(cassette, step="s", out={"plan.json": "[]"})
    assert play(cassette / take.folder, slot).returncode == 0
    assert (slot / ".gump" / "out" / "plan.json").read_text() == "[]"


@pytest.mark.parametrize("changes", [{"files": {"link/x": "x"}}, {"delete": ["link/kept"]}])
def test_nothing_is_written_through_a_link(cassette: Path, slot: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (slot / "link").symlink_to(outside)
    take = write_take(cassette, step="s", **changes)
    done = play(cassette / take.folder, slot)
    assert done.returncode == player.REFUSED
    assert b"will not write through a symbolic link" in done.stderr
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_link_in_the_place_of_a_file_is_replaced(cassette: Path, slot: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("kept")
    (slot / "a.txt").unlink()
    (slot / "a.txt").symlink_to(outside)
    take = write_take(cassette, step="s", files={"a.txt": "new"})
    assert play(cassette / take.folder, slot).returncode == 0
    assert outside.read_text() == "kept"
    assert (slot / "a.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["../up.txt", "/tmp/x", "a//b", "./a"])
def test_a_path_written_by_hand_cannot_leave_the_worktree(cassette: Path, slot: Path, name: str) -> None:
    take = write_take(cassette, step="s")
    (cassette / take.folder / "delete.json").write_text(json.dumps([name]))
    done = play(cassette / take.folder, slot)
    assert done.returncode == player.REFUSED
    assert b"not a path inside the worktree" in done.stderr


def test_the_path_of_the_slot_is_put_in_as_json_text(cassette: Path, tmp_path: Path) -> None:
    slot = tmp_path / 'odd "name" é'
    slot.mkdir()
    take = write_take(cassette, step="s", stream=[{"cwd": "{{worktree}}", "path": "{{worktree}}/a.py"}])
    printed = json.loads(play(cassette / take.folder, slot).stdout)
    assert printed == {"cwd": str(slot), "path": f"{slot}/a.py"}


def test_pauses_are_scaled_by_the_delay(cassette: Path, slot: Path) -> None:
    take = write_take(cassette, step="s", stream=[b"{}", b"{}"], pauses_s=[0.4, 0, 0.4])
    times = []
    for delay in (0.0, 0.5):
        began = time.monotonic()
        play(cassette / take.folder, slot, delay)
        times.append(time.monotonic() - began)
    assert times[1] - times[0] == pytest.approx(0.4, abs=0.25)


def test_lines_come_one_by_one_when_pauses_are_played(cassette: Path, slot: Path) -> None:
    take = write_take(cassette, step="s", stream=[b'{"n": 1}', b'{"n": 2}'], pauses_s=[0, 60])
    with subprocess.Popen(
        command(cassette / take.folder, slot, 1), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b'{"n": 1}\n'
        child.terminate()
        assert child.wait(timeout=5) == -signal.SIGTERM


def test_a_take_without_exit_code_goes_on_until_it_is_stopped(cassette: Path, slot: Path) -> None:
    take = write_take(cassette, step="s", stream=[b"{}"], exit_code=None, files={"a.txt": "changed"})
    with subprocess.Popen(
        command(cassette / take.folder, slot), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"{}\n"
        assert (slot / "a.txt").read_text() == "changed"
        assert child.poll() is None
        child.terminate()
        assert child.wait(timeout=5) == -signal.SIGTERM


def test_a_listener_that_goes_away_is_no_traceback(cassette: Path, slot: Path) -> None:
    take = write_take(cassette, step="s", stream=[b'"%s"' % (b"x" * 10_000)] * 200)
    with subprocess.Popen(
        command(cassette / take.folder, slot),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(timeout=5) == 1


def test_it_refuses_with_the_message_it_is_given(slot: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", player.__file__, "--refuse", "no attempt 3"],
        input=b"",
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"cassette: no attempt 3\n", player.REFUSED)


@pytest.mark.parametrize(("name", "content"), [("exit.json", "{"), ("timing.json", '{"pauses_s": ["x"]}')])
def test_a_broken_take_is_refused_without_a_traceback(cassette: Path, slot: Path, name: str, content: str) -> None:
    take = write_take(cassette, step="s", stream=[b"{}"])
    (cassette / take.folder / name).write_text(content)
    done = play(cassette / take.folder, slot)
    assert (done.stdout, done.returncode) == (b"", player.REFUSED)
    assert done.stderr.count(b"\n") == 1


def test_a_take_without_folder_is_refused(cassette: Path, slot: Path) -> None:
    done = play(cassette / "missing", slot)
    assert (done.stdout, done.returncode) == (b"", player.REFUSED)
    assert b"No such file or directory" in done.stderr


def test_home_is_put_in_like_the_worktree_and_on_stderr_too(cassette: Path, slot: Path) -> None:
    take = write_take(cassette, step="s", stream=['{"a": "{{home}}/x"}'], stderr="{{home}}/y {{worktree}}/z\n")
    done = subprocess.run(
        command(cassette / take.folder, slot), env={"HOME": '/home/"q"'}, input=b"", capture_output=True, check=False
    )
    assert json.loads(done.stdout) == {"a": '/home/"q"/x'}
    assert done.stderr == f'/home/"q"/y {slot}/z\n'.encode()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_an_end_by_a_signal_is_one(cassette: Path, slot: Path, number: signal.Signals) -> None:
    take = write_take(cassette, step="s", stream=["{}"], exit_code=-number)
    done = play(cassette / take.folder, slot)
    assert (done.returncode, done.stdout) == (-number, b"{}\n")


def test_when_it_is_stopped_it_prints_the_rest_without_pauses_and_ends_by_the_signal(
    cassette: Path, slot: Path
) -> None:
    lines = [f'{{"line": {number}}}' for number in range(500)]
    take = write_take(cassette, step="s", stream=lines, pauses_s=[0, *[60.0] * 500], exit_code=None)
    process = subprocess.Popen(
        command(cassette / take.folder, slot, 1.0), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=slot
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(10) == -signal.SIGTERM
    assert (first + rest).decode().splitlines() == lines
