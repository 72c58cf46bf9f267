"""A slot's own `.git` folder. Its files are written directly, which is faster than five git commands, and as safe."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.worktrees.index import SlotIndex

_FIXED = """\
[core]
\tbare = false
\tlogallrefupdates = true
\thooksPath = /dev/null
[gc]
\tauto = 0
[commit]
\tgpgsign = false
[tag]
\tgpgsign = false
"""
_EXCLUDED = "/.gump/out/\n"


def write_git_folder(repository: Repository, slot: Directory, commit: str, index: SlotIndex) -> None:
    """Write a new `.git` with a detached HEAD at `commit`. It uses the user's objects and shares nothing else.

    Raises:
        WorktreeError: The path of the repository contains a line break.
    """
    objects = str(repository.git_dir / "objects")
    if "\n" in objects:
        raise WorktreeError(f"the path of the repository contains a line break: {objects!r}")
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        slot.make_folders(f".git/{folder}")
    contents = {
        "objects/info/alternates": os.fsencode(f"{objects}\n"),
        "config": _config(repository.layout).encode("utf-8", "surrogateescape"),
        "HEAD": f"{commit}\n".encode(),
        **{name: _bytes(repository.git_dir / name) for name in ("shallow", "info/attributes", "info/exclude")},
    }
    contents["info/exclude"] = (contents["info/exclude"] or b"") + f"\n{_EXCLUDED}".encode()
    for name, content in contents.items():
        if content is not None:
            with open(slot.create(f".git/{name}", 0o644), "wb") as file:  # noqa: PTH123
                file.write(content)
    index.copy_to(slot, ".git/index")


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _config(layout: dict[str, str]) -> str:
    """Return the configuration: the user's settings of file formats, but no hooks, aliases or remotes."""
    version = 1 if any(key.startswith("extensions.") for key in layout) else 0
    lines = [_FIXED, f"[core]\n\trepositoryformatversion = {version}"]
    for key, value in layout.items():
        if key == "extensions.refstorage":
            continue
        section, _, name = key.rpartition(".")
        group, _, inner = section.partition(".")
        title = f'[{group} "{_escaped(inner)}"]' if inner else f"[{group}]"
        lines.append(f'{title}\n\t{name} = "{_escaped(value)}"')
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
