"""Cassettes: recorded attempts as a folder of readable files.

    index.json                    {"version": 1, "takes": [...]}, one entry for each folder, with the fields of `Take`
    01-build-impl-item-2-a1/
        stream.ndjson             what the CLI printed; {{worktree}} stands for the path of the slot
        timing.json               {"pauses_s": [...]}: seconds before each line, and one more before the end (optional)
        exit.json                 {"exit_code": 0}; null: it goes on until it is stopped
        stderr.txt                (optional)
        prompt.md                 the text behind prompt_sha256 (optional)
        tree.patch                binary-safe git patch of the worktree (optional)
        files/  delete.json       files to write whole, list of paths to delete (optional)
        out/                      hand-over files, for .gump/out (optional)

An empty `agent` plays for every agent, an empty `prompt_sha256` for every prompt.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pytest_gump.agents import ndjson
from pytest_gump.errors import ConfigError

VERSION: Final = 1
WORKTREE: Final = "{{worktree}}"
INDEX: Final = "index.json"


@dataclass(frozen=True, slots=True)
class Take:
    """One recorded attempt."""

    step: str
    """`build::impl[item-2]`."""
    item: str | None
    attempt: int
    agent: str
    cli: str
    """Whose stream it is: `claude`, or `replay` for the neutral one."""
    model: str | None
    prompt_sha256: str
    folder: str
    """Name of its folder beside the index."""

    @property
    def label(self) -> str:
        return label_of(self.step, self.item)


def label_of(step: str, item: str | None) -> str:
    """`build::impl[item-2]`, also when the item is given apart."""
    return step if item is None or "[" in step else f"{step}[{item}]"


def portable(line: bytes, worktree: Path) -> bytes:
    """A line of a stream with the slot's path replaced, as the player puts it in again."""
    place = str(worktree)
    for ascii_only in (True, False):
        line = line.replace(json.dumps(place, ensure_ascii=ascii_only)[1:-1].encode(), WORKTREE.encode())
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
            ConfigError: there is none, it is broken, or a take lies outside the cassette.
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
        """The takes of one attempt: more than one when several agents were recorded for it."""
        label = label_of(step, item)
        return tuple(take for take in self.takes if take.label == label and take.attempt == attempt)

    def attempts(self, step: str, item: str | None) -> list[int]:
        label = label_of(step, item)
        return sorted({take.attempt for take in self.takes if take.label == label})

    def labels(self) -> list[str]:
        return list(dict.fromkeys(take.label for take in self.takes))

    def folder(self, take: Take) -> Path:
        return self.path / take.folder

    def prompt(self, take: Take) -> str | None:
        """The recorded text behind the hash, if it was kept."""
        with contextlib.suppress(OSError):
            return (self.folder(take) / "prompt.md").read_bytes().decode("utf-8", "surrogateescape")
        return None


def _read_take(index: Path, number: int, value: Any) -> Take:
    where = f"{index}: take {number}"
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
    """Add a take, or replace the one of the same step, attempt and agent; the cassette is made if needed.

    `prompt` is the text to compare at playback; None accepts every prompt. `exit_code` None goes on until stopped.

    Raises:
        ConfigError: a path in `files`, `delete` or `out` is absolute or leaves the tree.
    """
    for name in (*(files or {}), *delete, *(out or {})):
        _check_relative(name)
    old = Cassette.open(cassette) if (cassette / INDEX).exists() else Cassette(cassette)
    wanted = Take(step, item, attempt, agent, cli, model, "" if prompt is None else prompt_sha256(prompt), "")
    take = replace(wanted, folder=_folder_name(old, wanted))
    folder = cassette / take.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "stream.ndjson").write_bytes(b"".join(map(_encode, stream)))
    _write_json(folder / "exit.json", {"exit_code": exit_code})
    if pauses_s:
        _write_json(folder / "timing.json", {"pauses_s": list(pauses_s)})
    if delete:
        _write_json(folder / "delete.json", list(delete))
    parts: dict[str, str | bytes] = {"stderr.txt": stderr, "prompt.md": prompt or "", "tree.patch": patch}
    parts |= {f"files/{name}": content for name, content in (files or {}).items()}
    parts |= {f"out/{name}": content for name, content in (out or {}).items()}
    for name, content in parts.items():
        if content or "/" in name:
            _write_file(folder / name, content)
    _write_index(replace(old, takes=_with(old.takes, take)))
    return take


def _folder_name(cassette: Cassette, take: Take) -> str:
    same = [old.folder for old in cassette.takes if _same_key(old, take)]
    if same:
        return same[0]
    slug = re.sub(r"[^a-z0-9]+", "-", take.label.lower()).strip("-")[:60] or "step"
    return f"{len(cassette.takes) + 1:02d}-{slug}-a{take.attempt}"


def _same_key(one: Take, other: Take) -> bool:
    return (one.label, one.attempt, one.agent) == (other.label, other.attempt, other.agent)


def _with(takes: tuple[Take, ...], take: Take) -> tuple[Take, ...]:
    if any(_same_key(old, take) for old in takes):
        return tuple(take if _same_key(old, take) else old for old in takes)
    return (*takes, take)


def _write_index(cassette: Cassette) -> None:
    record = {"version": VERSION, "takes": [asdict(take) for take in cassette.takes]}
    _write_json(cassette.path / INDEX, record)


def _write_json(path: Path, record: object) -> None:
    """Through a rename: a reader never sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


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
        raise ConfigError(f"a cassette holds paths inside the worktree only, not {name!r}")
