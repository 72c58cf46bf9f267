"""Finds and masks the values of secrets that were passed to agents and gates."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from pytest_gump.system.files import create
from pytest_gump.system.written import Span, masked, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MASK: Final = "***"
MASKED_NOTE: Final = "secrets were masked in "
_MIN_LENGTH: Final = 8
"""Shorter values are not masked, because they occur in too many files by chance."""
_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PRIVATE", re.IGNORECASE)
_LONGEST_LINE: Final = 1 << 20
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values of secrets by the names of their environment variables."""

    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def named(cls, names: Iterable[str], environment: Mapping[str, str] = os.environ) -> Secrets:
        """Find secrets among the variables: by the name of the variable, or as the password in a URL."""
        found = {name: _secret_part(name, environment.get(name, "")) for name in names}
        return cls({name: value for name, value in found.items() if len(value) >= _MIN_LENGTH})

    def __bool__(self) -> bool:
        return bool(self.values)

    def names_in(self, text: str | bytes) -> list[str]:
        """Return the variables whose values are in the text, in any of the forms of `written`."""
        return [name for name, value in self.values.items() if written(value).is_in(text)]

    def names_in_file(self, path: Path) -> list[str]:
        with path.open("rb") as file:
            return self.names_in_stream(file)

    def names_in_stream(self, file: BinaryIO) -> list[str]:
        if not self.values:
            return []
        rest, found = b"", dict[str, None]()
        while chunk := file.read(_BLOCK):
            found |= dict.fromkeys(self.names_in(rest + chunk))
            rest = (rest + chunk)[-self._overlap :]
        return list(found)

    @property
    def _overlap(self) -> int:
        """Bytes at the end of a block that may be the start of a secret. Files are read in blocks of fixed size."""
        return max(written(value).longest for value in self.values.values())

    def _spans(self, text: str | bytes) -> Iterator[Span]:
        for value in self.values.values():
            yield from written(value).spans(text)

    def mask(self, value: Any) -> Any:
        """Return plain data with all secrets masked, in strings at any depth."""
        if not self.values:
            return value
        if isinstance(value, str):
            parts, end = masked(value, self._spans(value), len(value), lambda _: MASK)
            return "".join(parts) + value[end:]
        if isinstance(value, dict):
            return {key: self.mask(inner) for key, inner in value.items()}
        return [self.mask(inner) for inner in value] if isinstance(value, list) else value

    def star(self, text: bytes) -> bytes:
        """Mask every secret with as many asterisks as it has characters without escapes.

        If the text is decoded later, its length is the same as without masks.
        """
        parts, end = masked(text, self._spans(text), len(text), lambda span: b"*" * span.length)
        return b"".join(parts) + text[end:]

    def added_in(self, patch: Path) -> list[str]:
        """Return `NAME in path` for every secret in the added lines of a patch."""
        if not self.values:
            return []
        return list(dict.fromkeys(f"{name} in {path}" for path, line in _added(patch) for name in self.names_in(line)))

    def mask_files(self, folder: Path) -> list[str]:
        """Mask secrets in all files below a folder. Return the paths of the changed files, relative to the folder."""
        if not self.values:
            return []
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return [path.relative_to(folder).as_posix() for path in files if self._mask_file(path)]

    def _mask_file(self, path: Path) -> bool:
        if not self.names_in_file(path):
            return False
        temporary = path.with_name(path.name + ".masked")
        rest = b""
        with path.open("rb") as file, create(temporary) as out:
            while chunk := file.read(_BLOCK):
                block = rest + chunk
                masked, end = self._masked(block, max(0, len(block) - self._overlap))
                out.write(masked)
                rest = block[end:]
            out.write(self._masked(rest, len(rest))[0])
        temporary.replace(path)
        return True

    def _masked(self, block: bytes, cut: int) -> tuple[bytes, int]:
        """Return the block with the secrets that start before `cut` masked, and the position of the rest."""
        parts, end = masked(block, self._spans(block), cut, lambda _: MASK.encode())
        return b"".join(parts) + block[end:cut], max(end, cut)


def _secret_part(name: str, value: str) -> str:
    """Return the password in a URL, or the whole value if `name` is that of a secret and the value is not a path.

    Otherwise, return an empty string.
    """
    if "://" in value:
        try:
            return unquote(urlsplit(value).password or "")
        except ValueError:
            return ""
    return value.strip() if _SECRET_NAME.search(name) and not value.startswith("/") else ""


def _added(patch: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path and text of each block of added lines. A wrapped secret can span several lines."""
    path, run = "", b""
    with patch.open("rb") as lines:
        while line := lines.readline(_LONGEST_LINE):
            is_added = line.startswith(b"+") and not line.startswith(b"+++ ")
            if run and (not is_added or len(run) > _BLOCK):
                yield path, run
                run = b""
            if is_added:
                run += line
            elif line.startswith(b"+++ "):
                path = line[4:].strip().decode("utf-8", "replace").removeprefix("b/")
    if run:
        yield path, run
