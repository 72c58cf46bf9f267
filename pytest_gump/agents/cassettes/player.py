"""Plays one recording: changes the worktree, prints the recorded stream, ends as recorded.

A separate program, run as `python -I -S player.py RECORDING WORKTREE DELAY` or `player.py --refuse MESSAGE`. It imports
nothing from this package, so it starts in a few milliseconds. It replaces an agent: it reads the prompt from stdin, and
changes the tree before it prints the first line, so a guard that stops it later finds the recorded tree. After SIGTERM,
it first prints the rest of the stream without pauses, so that the usage is as recorded.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
from pathlib import Path

REFUSED = 3


class Refused(Exception):  # noqa: N818 - not an error of the program, a message
    """The recording cannot be played here."""


def main(arguments: list[str]) -> int:
    stopper = Stopper()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdin.buffer.read()
    try:
        if len(arguments) == 2 and arguments[0] == "--refuse":
            return refuse(arguments[1])
        take, worktree, delay = Path(arguments[0]), Path(arguments[1]), float(arguments[2])
        (take / "stream.ndjson").stat()
        pauses = read_pauses(take)
        exit_code = read_exit_code(take)
        change_tree(take, worktree)
    except (Refused, OSError, ValueError, IndexError) as error:
        return refuse(str(error))
    except (AttributeError, TypeError, RecursionError, OverflowError) as error:  # JSON of another shape
        return refuse(f"the recording cannot be read: {error}")
    print_stream(take, worktree, pauses=pauses, delay=delay, stopper=stopper)
    print_errors(take, worktree)
    return end(exit_code, stopper)


def end(exit_code: int | None, stopper: Stopper) -> int:
    if stopper.asked(0):
        end_by(signal.SIGTERM)
    if exit_code is None:
        stopper.asked(None)
        end_by(signal.SIGTERM)
    if exit_code is not None and exit_code < 0:
        end_by(-exit_code)
    return exit_code or 0


def end_by(number: int) -> None:
    sys.stdout.flush()
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class Stopper:
    """Detects SIGTERM, which ends a pause."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        signal.set_wakeup_fd(writer)

    def asked(self, seconds: float | None) -> bool:
        """Wait for SIGTERM, at most `seconds`; None waits without a limit. True if it has arrived."""
        return bool(select.select([self.reader], [], [], seconds)[0])


def refuse(message: str) -> int:
    sys.stderr.write(f"cassette: {message}\n")
    return REFUSED


def read_pauses(take: Path) -> list[float]:
    path = take / "timing.json"
    if not path.exists():
        return []
    pauses = json.loads(path.read_bytes()).get("pauses_s", [])
    return [max(0.0, float(pause)) for pause in pauses]


def read_exit_code(take: Path) -> int | None:
    path = take / "exit.json"
    if not path.exists():
        return 0
    exit_code = json.loads(path.read_bytes()).get("exit_code", 0)
    return None if exit_code is None else int(exit_code)


# -- the tree ------------------------------------------------------------------------------------------------------


def change_tree(take: Path, worktree: Path) -> None:
    patch = take / "tree.patch"
    if patch.exists() and patch.stat().st_size:
        apply_patch(patch, worktree)
    deletions = take / "delete.json"
    if deletions.exists():
        for name in json.loads(deletions.read_bytes()):
            remove(inside(worktree, name))
    copy_folder(take / "files", worktree, "")
    copy_folder(take / "out", worktree, ".gump/out/")


def apply_patch(patch: Path, worktree: Path) -> None:
    import subprocess

    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(worktree.parent)
    command = ["git", "-c", "core.autocrlf=false", "apply", "--binary", "--whitespace=nowarn", "-"]
    with patch.open("rb") as stdin:
        done = subprocess.run(command, cwd=worktree, env=environment, stdin=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
        raise Refused(f"the recorded change does not fit this tree: {message}")


def inside(worktree: Path, name: str) -> Path:
    """Return the path of a file in the worktree. Raise Refused if it is outside or one of its folders is a link."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise Refused(f"not a path inside the worktree: {name!r}")
    path = worktree
    for part in parts[:-1]:
        path = path / part
        if path.is_symlink():
            raise Refused(f"will not write through a symbolic link: {name!r}")
    return path / parts[-1]


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy_folder(source: Path, worktree: Path, prefix: str) -> None:
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            origin = Path(folder) / name
            if origin.is_symlink():
                raise Refused(f"will not read through a symbolic link: {name!r}")
            target = inside(worktree, prefix + origin.relative_to(source).as_posix())
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink():
                target.unlink()
            shutil.copyfile(origin, target)
            target.chmod(target.stat().st_mode | (origin.stat().st_mode & 0o111))


# -- the stream ----------------------------------------------------------------------------------------------------


def print_stream(take: Path, worktree: Path, *, pauses: list[float], delay: float, stopper: Stopper) -> None:
    """Print the recorded lines, with the paths of the slot and of the user's home inserted as JSON text."""
    paths = {name: json.dumps(path)[1:-1].encode() for name, path in stand_ins(worktree).items()}
    printed = 0
    with (take / "stream.ndjson").open("rb") as lines:
        for line in lines:
            pause(pauses, printed, delay, stopper)
            sys.stdout.buffer.write(put_in(line, paths))
            if delay or pauses:
                sys.stdout.flush()
            printed += 1
    sys.stdout.flush()
    pause(pauses, printed, delay, stopper)


def print_errors(take: Path, worktree: Path) -> None:
    errors = take / "stderr.txt"
    if errors.exists():
        paths = {name: os.fsencode(path) for name, path in stand_ins(worktree).items()}
        sys.stderr.buffer.write(put_in(errors.read_bytes(), paths))
        sys.stderr.flush()


def stand_ins(worktree: Path) -> dict[bytes, str]:
    return {b"{{worktree}}": str(worktree), b"{{home}}": os.environ.get("HOME", "/")}


def put_in(text: bytes, paths: dict[bytes, bytes]) -> bytes:
    for name, path in paths.items():
        text = text.replace(name, path)
    return text


def pause(pauses: list[float], position: int, delay: float, stopper: Stopper) -> None:
    if delay and position < len(pauses):
        stopper.asked(pauses[position] * delay)


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except BrokenPipeError:
        # The reader of the output has exited: the flush at exit must not fail too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
