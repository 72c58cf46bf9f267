"""Record an attempt into a cassette: the agent's printed output, its changes and its output files.

Secrets are masked. The paths of the worktree and of the user's home are replaced by portable ones.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.cassettes import cassette as cassettes
from pytest_gump.agents.cassettes.redact import Redaction
from pytest_gump.agents.cassettes.replay import prompt_text
from pytest_gump.engine.attempt.agent_phase import STDERR, STREAM
from pytest_gump.errors import GumpError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.agents.base import Task
    from pytest_gump.engine.attempt.agent_phase import AgentRun
    from pytest_gump.system.secrets import Secrets

NOT_RECORDED: Final = "not recorded: {why}"
_PAUSE_DIGITS: Final = 3
_WHOLE_BYTES: Final = 16 << 20
"""Size of stderr up to which it is read as a whole; a larger one is read line by line."""


class _Unfit(Exception):  # noqa: N818 - not an error of the program, a message
    """The attempt cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt as its agent left it."""

    cli: str
    task: Task
    run: AgentRun
    folder: Path
    """The attempt's folder, with stream, stderr and output files."""
    secrets: Secrets
    """Secrets that the cassette must not contain."""
    write_patch: Callable[[Path], None]
    """Writes the whole change of the worktree to a file."""


def record(cassette: Path, work: Work) -> str | None:
    """Add the recording of an attempt; return why it could not be added, or None."""

    def add() -> None:
        with cassettes.staged(cassette) as folder:
            _fill(work, folder)
            cassettes.install(cassette, _take(work), folder)

    return _why_not(cassette, add)


def adopt(cassette: Path, arrived: Path) -> str | None:
    """Add all recordings of a cassette from another machine; return why one could not be added, or None."""

    def add() -> None:
        for take in cassettes.Cassette.open(arrived).takes:
            with cassettes.staged(cassette) as folder:
                shutil.copytree(arrived / take.folder, folder, dirs_exist_ok=True)
                _sync(folder)
                cassettes.install(cassette, take, folder)

    return _why_not(cassette, add)


def _why_not(cassette: Path, add: Callable[[], None]) -> str | None:
    try:
        add()
    except (_Unfit, GumpError) as error:
        return NOT_RECORDED.format(why=error.args[0])
    except OSError as error:
        return NOT_RECORDED.format(why=f"{error.filename or cassette}: {error.strerror or error}")
    return None


def _take(work: Work) -> cassettes.Take:
    task = work.task
    return cassettes.Take(
        step=task.step,
        item=task.item,
        attempt=task.attempt,
        agent=task.agent,
        cli=work.cli,
        model=work.run.ending.model,
        prompt_sha256=cassettes.prompt_sha256(prompt_text(task)),
        folder="",
        resumed=task.session is not None,
    )


def _fill(work: Work, folder: Path) -> None:
    run, source = work.run, work.folder
    finished = run.finished
    if finished is None or finished.error is not None:
        raise _Unfit("the agent did not start, or did not run to its end")
    redaction = Redaction(work.secrets, worktree=work.task.worktree)
    ended = -finished.signal if finished.signal is not None else finished.exit_code
    pauses_s = [round(pause, _PAUSE_DIGITS) for pause in run.pauses_s]
    cassettes.write_end(folder, exit_code=None if finished.stopped else ended, pauses_s=pauses_s)
    _copy_lines(source / STREAM, folder / STREAM, redaction.clean)
    if (source / STDERR).exists() and (size := (source / STDERR).stat().st_size):
        copy = _copy_whole if size <= _WHOLE_BYTES else _copy_lines
        copy(source / STDERR, folder / STDERR, redaction.clean)
    prompt = prompt_text(work.task).encode("utf-8", "surrogateescape")
    (folder / "prompt.md").write_bytes(redaction.clean(prompt))
    _copy_out(source / "out", folder / "out")
    patch = folder / "tree.patch"
    work.write_patch(patch)
    if not patch.stat().st_size:
        patch.unlink()
    _refuse_secrets(folder, work.secrets)
    _sync(folder)


def _copy_lines(source: Path, target: Path, clean: Callable[[bytes], bytes]) -> None:
    with source.open("rb") as lines, target.open("wb") as out:
        for line in lines:
            out.write(clean(line))


def _copy_whole(source: Path, target: Path, clean: Callable[[bytes], bytes]) -> None:
    """Clean the file as a whole: a private key may span several lines."""
    target.write_bytes(clean(source.read_bytes()))


def _copy_out(source: Path, target: Path) -> None:
    """Copy the output files unmasked: masking would change a plan or verdict. `_refuse_secrets` checks them."""
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())


def _refuse_secrets(folder: Path, secrets: Secrets) -> None:
    """Refuse a recording whose tree or output files still hold a secret: masking would change them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and secrets.names_in_file(path):
            raise _Unfit(f"the value of a secret is in {path.relative_to(folder).as_posix()}")


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
