"""The read-only view of the step for custom gates: names, files and the diff."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_gump.system.git.changes import ChangedFile

_HUNK = re.compile(r"@@ -(?P<old_start>\d+)(?:,(?P<old>\d+))? \+(?P<new_start>\d+)(?:,(?P<new>\d+))? @@")


@dataclass(frozen=True, slots=True)
class DiffLine:
    path: str
    line: int
    """Line number from 1: in the new file for an added line, in the old file for a removed line."""
    text: str

    def __repr__(self) -> str:
        return f"{self.path}:{self.line}: {self.text.strip()[:200]}"


@dataclass(frozen=True, slots=True, repr=False)
class Diff:
    """Unified diff since the step began, from a text or from a file. A file is read line by line, on demand."""

    text: str = ""
    file: Path | None = None

    def added_lines_matching(self, pattern: str) -> list[DiffLine]:
        """Return the added lines in which the regular expression is found."""
        return self._matching("+", pattern)

    def removed_lines_matching(self, pattern: str) -> list[DiffLine]:
        """Return the removed lines in which the regular expression is found."""
        return self._matching("-", pattern)

    def __repr__(self) -> str:
        return "<diff>"

    def __str__(self) -> str:
        if self.file is None:
            return self.text
        return self.file.read_text(encoding="utf-8", errors="replace") if self.file.exists() else ""

    def _matching(self, wanted: Literal["+", "-"], pattern: str) -> list[DiffLine]:
        return [line for sign, line in self._lines() if sign == wanted and re.search(pattern, line.text)]

    def _lines(self) -> Iterator[tuple[Literal["+", "-"], DiffLine]]:
        if self.file is None:
            yield from _diff_lines(iter(self.text.split("\n")))
        elif self.file.exists():
            with self.file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
                yield from _diff_lines(lines)


def _diff_lines(lines: Iterator[str]) -> Iterator[tuple[Literal["+", "-"], DiffLine]]:
    old_path = new_path = ""
    for line in lines:
        if line.startswith("--- "):
            old_path = _path(line)
        elif line.startswith("+++ "):
            new_path = _path(line)
        elif hunk := _HUNK.match(line):
            yield from _hunk_lines(lines, hunk, old_path, new_path)


def _hunk_lines(
    lines: Iterator[str], hunk: re.Match[str], old_path: str, new_path: str
) -> Iterator[tuple[Literal["+", "-"], DiffLine]]:
    """Yield the lines of a hunk. Its line counts decide where it ends, because an added line may look like a header."""
    old_left, new_left = int(hunk["old"] or 1), int(hunk["new"] or 1)
    old_at, new_at = int(hunk["old_start"]), int(hunk["new_start"])
    while old_left > 0 or new_left > 0:
        line = next(lines, None)
        if line is None:
            return
        text = line.rstrip("\n")[1:]
        match line[:1]:
            case "+":
                yield "+", DiffLine(new_path, new_at, text)
                new_at, new_left = new_at + 1, new_left - 1
            case "-":
                yield "-", DiffLine(old_path, old_at, text)
                old_at, old_left = old_at + 1, old_left - 1
            case "\\":
                continue
            case _:
                old_at, new_at, old_left, new_left = old_at + 1, new_at + 1, old_left - 1, new_left - 1


def _path(header: str) -> str:
    name = header[4:].rstrip("\n").removesuffix("\t")
    if name.startswith('"'):  # git quotes unusual names as C does
        name = name.strip('"').encode().decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace")
    return name[2:] if name.startswith(("a/", "b/")) else name


@dataclass(frozen=True, slots=True, repr=False)
class StepView:
    """The argument of a custom gate."""

    name: str
    """Address of the step in the run: `build::impl[item-2]`."""
    attempt: int
    worktree: Path
    changed: Sequence[ChangedFile] = ()
    """Files that differ since the step began."""
    diff: Diff = field(default_factory=Diff)
    item: Any = None
    """The plan item (name, slug, description, files, depends_on); None outside a foreach."""
    output: Any = None
    """The step's output: plan items, verdict or artifact text; None for a diff step."""
    argument: str | None = None
    """The text after the gate's name in the workflow."""

    def __repr__(self) -> str:
        return f"<step {self.name}, attempt {self.attempt}>"
