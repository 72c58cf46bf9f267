"""Find and mask the values of secrets that were passed to agents and gates."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pytest_gump.agents.base import Note, Text, ToolCall
from pytest_gump.system.written import written_forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_gump.agents.base import Event

MASK: Final = "***"
_MIN_LENGTH: Final = 8
"""A shorter value is in too many files by chance."""
_TELLING: Final = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|PRIVATE", re.IGNORECASE)
_LONGEST_LINE: Final = 1 << 20
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values by the name of the variable that they came in."""

    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Iterable[str], environment: Mapping[str, str] = os.environ) -> Secrets:
        """Take what is secret among the variables: by its name, or as the password of a URL."""
        found = {name: _secret_part(name, environment.get(name, "")) for name in names}
        return cls({name: value for name, value in found.items() if len(value) >= _MIN_LENGTH})

    def __bool__(self) -> bool:
        return bool(self.values)

    def names_in(self, text: str | bytes) -> list[str]:
        """The variables whose values are in the text."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        return [name for name, value in self.values.items() if any(form in data for form in written_forms(value))]

    def names_in_file(self, path: Path) -> list[str]:
        rest, found = b"", dict[str, None]()
        with path.open("rb") as file:
            while chunk := file.read(_BLOCK):
                found |= dict.fromkeys(self.names_in(rest + chunk))
                rest = (rest + chunk)[-self._overlap :]
        return list(found)

    @property
    def _forms(self) -> list[bytes]:
        """The longest first: of a secret that holds another one, nothing must stay."""
        forms = {form for value in self.values.values() for form in written_forms(value)}
        return sorted(forms, key=lambda form: (-len(form), form))

    @property
    def _overlap(self) -> int:
        """Bytes of a block that may be the beginning of a secret: lines may be longer than the memory."""
        return len(self._forms[0]) - 1

    def mask(self, value: Any) -> Any:
        """The same plain data with every secret masked, in strings at any depth."""
        if not self.values:
            return value
        if isinstance(value, str):
            return re.sub("|".join(re.escape(os.fsdecode(form)) for form in self._forms), MASK, value)
        if isinstance(value, dict):
            return {key: self.mask(one) for key, one in value.items()}
        return [self.mask(one) for one in value] if isinstance(value, list) else value

    def added_in(self, patch: Path) -> list[str]:
        """`NAME in path` for every secret in the added lines of a patch."""
        if not self.values:
            return []
        return list(dict.fromkeys(f"{name} in {path}" for path, line in _added(patch) for name in self.names_in(line)))

    def mask_files(self, folder: Path) -> list[str]:
        """Mask secrets in all files below a folder of ours; gives the names of the files that held some."""
        if not self.values:
            return []
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return [path.relative_to(folder).as_posix() for path in files if self._mask_file(path)]

    def _mask_file(self, path: Path) -> bool:
        if not self.names_in_file(path):
            return False
        temporary = path.with_name(path.name + ".masked")
        rest = b""
        with path.open("rb") as file, temporary.open("wb") as out:
            while chunk := file.read(_BLOCK):
                block = rest + chunk
                masked, end = self._masked(block, max(0, len(block) - self._overlap))
                out.write(masked)
                rest = block[end:]
            out.write(self._masked(rest, len(rest))[0])
        temporary.replace(path)
        return True

    def _masked(self, block: bytes, cut: int) -> tuple[bytes, int]:
        """Mask what begins before `cut`, and say where the rest begins."""
        parts, end = [], 0
        for match in re.finditer(b"|".join(map(re.escape, self._forms)), block):
            if match.start() >= cut:
                break
            parts += [block[end : match.start()], MASK.encode()]
            end = match.end()
        parts.append(block[end:cut])
        return b"".join(parts), max(end, cut)


def masked_event(event: Event, secrets: Secrets) -> Event:
    """The event as a live display may show it."""
    match event:
        case ToolCall():
            return replace(event, path=secrets.mask(event.path), command=secrets.mask(event.command))
        case Text() | Note():
            return replace(event, text=secrets.mask(event.text))
        case _:
            return event


def _secret_part(name: str, value: str) -> str:
    """The value, or the password in it; empty when it is nothing to hide (a path, a number, a plain URL)."""
    if "://" in value:
        try:
            return unquote(urlsplit(value).password or "")
        except ValueError:
            return ""
    return value.strip() if _TELLING.search(name) and not value.startswith("/") else ""


def _added(patch: Path) -> Iterator[tuple[str, bytes]]:
    path = ""
    with patch.open("rb") as lines:
        while line := lines.readline(_LONGEST_LINE):
            if line.startswith(b"+++ "):
                path = line[4:].strip().decode("utf-8", "replace").removeprefix("b/")
            elif line.startswith(b"+"):
                yield path, line
