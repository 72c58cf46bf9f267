"""A slot's own `.git`: written as files, because that is as safe as five git commands and costs none."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.git_repository import Repository

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


def write_git_folder(repository: Repository, slot: Path, commit: str, index: Path) -> None:
    """Write `.git` where there is none: HEAD detached at `commit`, the user's objects borrowed, nothing else shared."""
    git = slot / ".git"
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (git / folder).mkdir(parents=True)
    objects = str(repository.git_dir / "objects")
    if "\n" in objects:
        raise WorktreeError(f"a repository whose path has a line break cannot be used: {objects!r}")
    (git / "objects/info/alternates").write_text(f"{objects}\n", errors="surrogateescape")
    (git / "config").write_text(_config(repository.layout), errors="surrogateescape")
    (git / "HEAD").write_text(f"{commit}\n")
    for name in ("shallow", "info/attributes", "info/exclude"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(repository.git_dir / name, git / name)
    with (git / "info/exclude").open("a") as file:
        file.write(f"\n{_EXCLUDED}")
    shutil.copy2(index, git / "index")  # with its time: git looks into files that are not older than it


def _config(layout: dict[str, str]) -> str:
    """The settings that decide how files are read and stored are the user's; hooks, aliases and remotes are not."""
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
