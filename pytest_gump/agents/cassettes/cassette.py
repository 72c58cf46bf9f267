"""Cassettes: recorded attempts as a folder of readable files.

    index.json                    {"version": 1, "takes": [...]}: one entry per recording, with the fields of `Take`
    01-build-impl-item-2-a1/
        stream.ndjson             output of the CLI; {{worktree}} stands for the path of the slot, {{home}} for HOME
        timing.json               {"pauses_s": [...]}: seconds before each line, and one more before the end (optional)
        exit.json                 {"exit_code": 0}; null: it runs until it is stopped; -9: signal 9 ended it
        stderr.txt                (optional)
        prompt.md                 the text behind prompt_sha256 (optional)
        tree.patch                git patch of the worktree, with binary files (optional)
        files/  delete.json       files to write, and a list of paths to delete (optional)
        out/                      files for .gump/out (optional)

An empty `agent` matches every agent, an empty `prompt_sha256` every prompt.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pytest_gump.agents.streams import ndjson
from pytest_gump.errors import ConfigError
from pytest_gump.system.files import replacing
from pytest_gump.system.locks import try_lock

VERSION: Final = 1
WORKTREE: Final = "{{worktree}}"
HOME: Final = "{{home}}"
INDEX: Final = "index.json"


@dataclass(frozen=True, slots=True)
class Take:
    """One recording: a recorded attempt of a step."""

    step: str
    """`build::impl[item-2]`."""
    item: str | None
    attempt: int
    agent: str
    cli: str
    """The CLI that printed the stream: `claude`, or `replay` for the neutral format."""
    model: str | None
    prompt_sha256: str
    folder: str
    """Name of its folder, next to the index."""
    resumed: bool | None = None
    """True if the attempt resumed a conversation; None: the same as the attempt that it is played for."""

    @property
    def label(self) -> str:
        return label_of(self.step, self.item)


def label_of(step: str, item: str | None) -> str:
    """Return `build::impl[item-2]`, whether or not `step` already contains the item."""
    return step if item is None or "[" in step else f"{step}[{item}]"


def portable(line: bytes, worktree: Path) -> bytes:
    """Return a line of a stream with a placeholder for the slot's path, which the player replaces."""
    for ascii_only in (True, False):
        line = line.replace(json.dumps(str(worktree), ensure_ascii=ascii_only)[1:-1].encode(), WORKTREE.encode())
    return line


def prompt_sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Cassette:
    path: Path
    takes: tuple[Take, ...] = ()

    @classmethod
    def open(cls, path: Path) -> Cassette:
        """Read the index.

        Raises:
            ConfigError: The index is missing or broken, or names a folder outside the cassette.
        """
        index = path / INDEX
        try:
            record = ndjson.parse_object(index.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: not a cassette: {error.strerror or error}: {INDEX}") from error
        if record is None or record.get("version") != VERSION:
            raise ConfigError(f"{index}: not the index of a cassette of version {VERSION}")
        takes = record.get("takes")
        if not isinstance(takes, list):
            raise ConfigError(f"{index}: 'takes' must be a list")
        return cls(path.absolute(), tuple(_read_take(index, number, take) for number, take in enumerate(takes, 1)))

    def find(self, step: str, item: str | None, attempt: int) -> tuple[Take, ...]:
        """Return the recordings of one attempt: several if it was recorded with several agents."""
        label = label_of(step, item)
        return tuple(take for take in self.takes if take.label == label and take.attempt == attempt)

    def attempts(self, step: str, item: str | None) -> list[int]:
        label = label_of(step, item)
        return sorted({take.attempt for take in self.takes if take.label == label})

    def cli_of(self, agent: str) -> str | None:
        """Return the CLI recorded under an agent's name, which may differ from its usual one; None if there is none."""
        return next((take.cli for take in self.takes if take.agent == agent and take.cli != "replay"), None)

    def labels(self) -> list[str]:
        return list(dict.fromkeys(take.label for take in self.takes))

    def folder(self, take: Take) -> Path:
        return self.path / take.folder

    def prompt(self, take: Take) -> str | None:
        """Return the text behind the hash; None if it was not stored."""
        with contextlib.suppress(OSError):
            return (self.folder(take) / "prompt.md").read_bytes().decode("utf-8", "surrogateescape")
        return None


def _read_take(index: Path, number: int, value: Any) -> Take:
    where = f"{index}: recording {number}"
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be an object")
    step, folder, attempt = ndjson.text(value, "step"), ndjson.text(value, "folder"), ndjson.count(value, "attempt")
    if not step or not folder or attempt < 1:
        raise ConfigError(f"{where}: needs 'step', 'attempt' (from 1) and 'folder'")
    if folder in {".", ".."} or "/" in folder or "\\" in folder or "\0" in folder:
        raise ConfigError(f"{where}: 'folder' must be a plain name, not {folder!r}")
    return Take(
        step=step,
        item=ndjson.text(value, "item"),
        attempt=attempt,
        agent=ndjson.text(value, "agent") or "",
        cli=ndjson.text(value, "cli") or "replay",
        model=ndjson.text(value, "model"),
        prompt_sha256=ndjson.text(value, "prompt_sha256") or "",
        folder=folder,
        resumed=value.get("resumed") if isinstance(value.get("resumed"), bool) else None,
    )


Line = Mapping[str, Any] | bytes | str


def write_take(
    cassette: Path,
    *,
    step: str,
    attempt: int = 1,
    item: str | None = None,
    agent: str = "",
    cli: str = "replay",
    model: str | None = None,
    prompt: str | None = None,
    stream: Iterable[Line] = (),
    pauses_s: Sequence[float] = (),
    exit_code: int | None = 0,
    stderr: str = "",
    patch: bytes = b"",
    files: Mapping[str, str | bytes] | None = None,
    delete: Sequence[str] = (),
    out: Mapping[str, str | bytes] | None = None,
) -> Take:
    """Add a recording, or replace the one of the same step, attempt and agent. Create the cassette if needed.

    `prompt` is the text to compare at replay; None accepts every prompt. With `exit_code` None,
    the player runs until it is stopped.

    Raises:
        ConfigError: A path in `files`, `delete` or `out` is absolute or leaves the tree.
    """
    for name in (*(files or {}), *delete, *(out or {})):
        _check_relative(name)
    cassette.mkdir(parents=True, exist_ok=True)
    wanted = Take(step, item, attempt, agent, cli, model, "" if prompt is None else prompt_sha256(prompt), "")
    with staged(cassette) as folder:
        (folder / "stream.ndjson").write_bytes(b"".join(map(_encode, stream)))
        write_end(folder, exit_code=exit_code, pauses_s=pauses_s)
        if delete:
            _write_json(folder / "delete.json", list(delete))
        for name, content in {"stderr.txt": stderr, "prompt.md": prompt, "tree.patch": patch}.items():
            if content:
                _write_file(folder / name, content)
        for top, contents in {"files": files, "out": out}.items():
            for name, content in (contents or {}).items():
                _write_file(folder / top / name, content)
        return install(cassette, wanted, folder, may_replace=True)


def write_end(folder: Path, *, exit_code: int | None, pauses_s: Sequence[float] = ()) -> None:
    """Write the exit code and the timing of the CLI into the folder of a recording."""
    _write_json(folder / "exit.json", {"exit_code": exit_code})
    if pauses_s:
        _write_json(folder / "timing.json", {"pauses_s": list(pauses_s)})


@contextlib.contextmanager
def staged(cassette: Path) -> Iterator[Path]:
    """Yield a new folder in the cassette, to be filled and installed. If it is not installed, it is removed."""
    folder = Path(tempfile.mkdtemp(prefix=".take-", dir=cassette))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(cassette: Path, wanted: Take, folder: Path, *, may_replace: bool = False) -> Take:
    """Add a filled folder as a recording. The index is written last, so it never names an incomplete recording.

    Raises:
        ConfigError: This step, attempt and agent is already recorded, and `may_replace` is False.
    """
    with _locked(cassette):
        old = Cassette.open(cassette) if (cassette / INDEX).exists() else Cassette(cassette)
        if not may_replace and any(_same_key(take, wanted) for take in old.takes):
            what = f"attempt {wanted.attempt} of {wanted.label} by {wanted.agent}"
            raise ConfigError(f"{cassette}: {what} is already recorded")
        take = replace(wanted, folder=_folder_name(old, wanted))
        target = cassette / take.folder
        if target.exists():  # left by the replaced recording, or by an interrupted write
            target.rename(folder.with_name(f"{folder.name}-old"))
        folder.rename(target)
        _write_index(replace(old, takes=_with(old.takes, take)))
        shutil.rmtree(folder.with_name(f"{folder.name}-old"), ignore_errors=True)
    return take


def create(cassette: Path) -> None:
    """Create an empty cassette to record into.

    Raises:
        ConfigError: The folder contains recordings or other files, or cannot be written.
    """
    if (cassette / INDEX).exists() and Cassette.open(cassette).takes:
        raise ConfigError(f"{cassette} already contains a cassette", hint="use another folder, or remove this one")
    try:
        cassette.parent.mkdir(parents=True, exist_ok=True)
        cassette.mkdir(mode=0o700, exist_ok=True)
        if any(path.name != INDEX for path in cassette.iterdir()):
            raise ConfigError(f"{cassette} is not empty, and not a cassette", hint="use another folder")
        _write_index(Cassette(cassette))
    except OSError as error:
        raise ConfigError(f"{cassette}: cannot record into this folder: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(cassette: Path) -> Iterator[None]:
    """Lock the cassette, because several processes may record into it. The lock ends with the process."""
    folder = os.open(cassette, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try_lock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _folder_name(cassette: Cassette, take: Take) -> str:
    same = [old.folder for old in cassette.takes if _same_key(old, take)]
    if same:
        return same[0]
    slug = re.sub(r"[^a-z0-9]+", "-", take.label.lower()).strip("-")[:60] or "step"
    return f"{len(cassette.takes) + 1:02d}-{slug}-a{take.attempt}"


def _same_key(old: Take, new: Take) -> bool:
    return (old.label, old.attempt, old.agent) == (new.label, new.attempt, new.agent)


def _with(takes: tuple[Take, ...], take: Take) -> tuple[Take, ...]:
    if any(_same_key(old, take) for old in takes):
        return tuple(take if _same_key(old, take) else old for old in takes)
    return (*takes, take)


def _write_index(cassette: Cassette) -> None:
    record = {"version": VERSION, "takes": [_take_record(take) for take in cassette.takes]}
    _write_json(cassette.path / INDEX, record, durable=True)


def _take_record(take: Take) -> dict[str, object]:
    return {name: value for name, value in asdict(take).items() if name != "resumed" or value is not None}


def _write_json(path: Path, record: object, *, durable: bool = False) -> None:
    with replacing(path) as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n")
        os.fchmod(file.fileno(), 0o644)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _write_file(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)


def _encode(line: Line) -> bytes:
    if isinstance(line, Mapping):
        line = json.dumps(line, ensure_ascii=False)
    raw = line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line
    return raw.rstrip(b"\n") + b"\n"


def _check_relative(name: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ConfigError(f"paths in a cassette must be inside the worktree, not {name!r}")
