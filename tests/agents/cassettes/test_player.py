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
    """Return a repository with a text file, a binary file and a file to delete."""
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


def command(recording: Path, slot: Path, delay: float = 0) -> list[str]:
    return [sys.executable, "-I", "-S", player.__file__, str(recording), str(slot), str(delay)]


def play(recording: Path, slot: Path, delay: float = 0) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(recording, slot, delay),
        cwd=slot,
        input=b"the prompt\n" * 20_000,
        capture_output=True,
        check=False,
        timeout=30,
    )


def test_the_stream_and_the_exit_code_are_the_recorded_ones(cassette: Path, slot: Path) -> None:
    raw = b'{"type": "turn"}\nnot json \xff\0\n'
    recording = write_take(cassette, step="s", stream=raw.splitlines(), stderr="warned\n", exit_code=7)
    done = play(cassette / recording.folder, slot)
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
    recording = write_take(cassette, step="s", patch=patch)
    assert play(cassette / recording.folder, slot).returncode == 0
    git(slot, "add", "-A")
    assert git(slot, "write-tree") == tree
    assert (slot / "pixels.bin").read_bytes() == BINARY[::-1]


def test_a_patch_that_does_not_fit_is_refused_before_anything_is_printed(cassette: Path, slot: Path) -> None:
    (slot / "a.txt").write_text("one\n2\n")
    patch = git(slot, "diff", "--binary")
    (slot / "a.txt").write_text("something else\n")
    recording = write_take(cassette, step="s", patch=patch, stream=[{"type": "turn"}], files={"b.txt": "b"})
    done = play(cassette / recording.folder, slot)
    assert (done.stdout, done.returncode) == (b"", player.REFUSED)
    assert done.stderr.startswith(b"cassette: the recorded change does not fit this tree: error: patch failed: a.txt:1")
    assert not (slot / "b.txt").exists()


def test_git_variables_of_the_caller_do_not_redirect_the_patch(
    cassette: Path, slot: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (slot / "a.txt").write_text("one\n2\n")
    patch = git(slot, "diff", "--binary")
    git(slot, "checkout", "-q", "a.txt")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    recording = write_take(cassette, step="s", patch=patch)
    assert play(cassette / recording.folder, slot).returncode == 0
    assert (slot / "a.txt").read_text() == "one\n2\n"


def test_files_are_written_and_deleted(cassette: Path, slot: Path) -> None:
    recording = write_take(
        cassette,
        step="s",
        files={"src/new.py": "x = 1\n", "a.txt": "", "b.bin": b"\0\xff"},
        delete=["old.txt", "gone.txt"],
    )
    (cassette / recording.folder / "files" / "b.bin").chmod(0o755)
    assert play(cassette / recording.folder, slot).returncode == 0
    assert (slot / "src" / "new.py").read_text() == "x = 1\n"
    assert (slot / "a.txt").read_bytes() == b""
    assert (slot / "b.bin").read_bytes() == b"\0\xff"
    assert os.access(slot / "b.bin", os.X_OK)
    assert not (slot / "old.txt").exists()


def test_a_whole_folder_can_be_deleted(cassette: Path, slot: Path) -> None:
    (slot / "folder" / "deep").mkdir(parents=True)
    (slot / "folder" / "deep" / "x").write_text("")
    recording = write_take(cassette, step="s", delete=["folder"])
    assert play(cassette / recording.folder, slot).returncode == 0
    assert not (slot / "folder").exists()


def test_output_files_go_to_the_output_folder(cassette: Path, slot: Path) -> None:
    recording = write_take(cassette, step="s", out={"plan.json": "[]"})
    assert play(cassette / recording.folder, slot).returncode == 0
    assert (slot / ".gump" / "out" / "plan.json").read_text() == "[]"


@pytest.mark.parametrize("changes", [{"files": {"link/x": "x"}}, {"delete": ["link/kept"]}])
def test_nothing_is_written_through_a_link(cassette: Path, slot: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (slot / "link").symlink_to(outside)
    recording = write_take(cassette, step="s", **changes)
    done = play(cassette / recording.folder, slot)
    assert done.returncode == player.REFUSED
    assert b"will not write through a symbolic link" in done.stderr
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_link_at_the_path_of_a_file_is_replaced(cassette: Path, slot: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("kept")
    (slot / "a.txt").unlink()
    (slot / "a.txt").symlink_to(outside)
    recording = write_take(cassette, step="s", files={"a.txt": "new"})
    assert play(cassette / recording.folder, slot).returncode == 0
    assert outside.read_text() == "kept"
    assert (slot / "a.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["../up.txt", "/tmp/x", "a//b", "./a"])
def test_a_path_written_by_hand_cannot_leave_the_worktree(cassette: Path, slot: Path, name: str) -> None:
    recording = write_take(cassette, step="s")
    (cassette / recording.folder / "delete.json").write_text(json.dumps([name]))
    done = play(cassette / recording.folder, slot)
    assert done.returncode == player.REFUSED
    assert b"not a path inside the worktree" in done.stderr


def test_the_path_of_the_slot_is_inserted_as_json_text(cassette: Path, tmp_path: Path) -> None:
    slot = tmp_path / 'odd "name" é'
    slot.mkdir()
    recording = write_take(cassette, step="s", stream=[{"cwd": "{{worktree}}", "path": "{{worktree}}/a.py"}])
    printed = json.loads(play(cassette / recording.folder, slot).stdout)
    assert printed == {"cwd": str(slot), "path": f"{slot}/a.py"}


def test_pauses_are_scaled_by_the_delay(cassette: Path, slot: Path) -> None:
    recording = write_take(cassette, step="s", stream=[b"{}", b"{}"], pauses_s=[0.4, 0, 0.4])
    times = []
    for delay in (0.0, 0.5):
        began = time.monotonic()
        play(cassette / recording.folder, slot, delay)
        times.append(time.monotonic() - began)
    assert times[1] - times[0] == pytest.approx(0.4, abs=0.25)


def test_lines_are_printed_one_by_one_with_pauses(cassette: Path, slot: Path) -> None:
    recording = write_take(cassette, step="s", stream=[b'{"n": 1}', b'{"n": 2}'], pauses_s=[0, 60])
    with subprocess.Popen(
        command(cassette / recording.folder, slot, 1), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b'{"n": 1}\n'
        child.terminate()
        assert child.wait(timeout=5) == -signal.SIGTERM


def test_a_recording_without_an_exit_code_runs_until_it_is_stopped(cassette: Path, slot: Path) -> None:
    recording = write_take(cassette, step="s", stream=[b"{}"], exit_code=None, files={"a.txt": "changed"})
    with subprocess.Popen(
        command(cassette / recording.folder, slot), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"{}\n"
        assert (slot / "a.txt").read_text() == "changed"
        assert child.poll() is None
        child.terminate()
        assert child.wait(timeout=5) == -signal.SIGTERM


def test_a_closed_pipe_causes_no_traceback(cassette: Path, slot: Path) -> None:
    recording = write_take(cassette, step="s", stream=[b'"%s"' % (b"x" * 10_000)] * 200)
    with subprocess.Popen(
        command(cassette / recording.folder, slot),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(timeout=5) == 1


def test_a_refusal_prints_the_given_message(slot: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", player.__file__, "--refuse", "no attempt 3"],
        input=b"",
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"cassette: no attempt 3\n", player.REFUSED)


@pytest.mark.parametrize(("name", "content"), [("exit.json", "{"), ("timing.json", '{"pauses_s": ["x"]}')])
def test_a_broken_recording_is_refused_without_a_traceback(cassette: Path, slot: Path, name: str, content: str) -> None:
    recording = write_take(cassette, step="s", stream=[b"{}"])
    (cassette / recording.folder / name).write_text(content)
    done = play(cassette / recording.folder, slot)
    assert (done.stdout, done.returncode) == (b"", player.REFUSED)
    assert done.stderr.count(b"\n") == 1


def test_a_recording_without_a_folder_is_refused(cassette: Path, slot: Path) -> None:
    done = play(cassette / "missing", slot)
    assert (done.stdout, done.returncode) == (b"", player.REFUSED)
    assert b"No such file or directory" in done.stderr


def test_home_and_worktree_are_inserted_on_stdout_and_stderr(cassette: Path, slot: Path) -> None:
    recording = write_take(cassette, step="s", stream=['{"a": "{{home}}/x"}'], stderr="{{home}}/y {{worktree}}/z\n")
    done = subprocess.run(
        command(cassette / recording.folder, slot),
        env={"HOME": '/home/"q"'},
        input=b"",
        capture_output=True,
        check=False,
    )
    assert json.loads(done.stdout) == {"a": '/home/"q"/x'}
    assert done.stderr == f'/home/"q"/y {slot}/z\n'.encode()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_recorded_signal_ends_the_player(cassette: Path, slot: Path, number: signal.Signals) -> None:
    recording = write_take(cassette, step="s", stream=["{}"], exit_code=-number)
    done = play(cassette / recording.folder, slot)
    assert (done.returncode, done.stdout) == (-number, b"{}\n")


def test_a_signal_makes_it_print_the_rest_at_once_and_end_by_that_signal(cassette: Path, slot: Path) -> None:
    lines = [f'{{"line": {number}}}' for number in range(500)]
    recording = write_take(cassette, step="s", stream=lines, pauses_s=[0, *[60.0] * 500], exit_code=None)
    process = subprocess.Popen(
        command(cassette / recording.folder, slot, 1.0), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=slot
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(10) == -signal.SIGTERM
    assert (first + rest).decode().splitlines() == lines
