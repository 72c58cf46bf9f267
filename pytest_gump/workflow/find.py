"""Finds workflows: those of the project, the user's, the built-in ones, those of packages, or a named file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, NamedTuple

from pytest_gump.errors import ConfigError, suggest
from pytest_gump.system.files import decode_user_text, read_user_text
from pytest_gump.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_gump.workflow.model import Package

Source = Literal["project", "user", "built-in", "file", "package"]
WORKFLOW_SUFFIXES: Final = (".yaml", ".yml")
MAX_BYTES: Final = 4_194_304
STDIN: Final = "<stdin>"
"""Stands for the file name of a workflow from standard input."""
VALIDATORS: Final = "validators"
"""`validators/NAME` is a file in `.gump/validators`, as in Gump 0.0.4, or a built-in workflow."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Found(NamedTuple):
    path: Path | None
    source: Source
    name: str
    text: str
    problem: str = ""
    """Why the file cannot be read; `text` is empty in this case."""
    package: Package | None = None


def find_workflow(name_or_path: str, project: Path, home: Path | None) -> Found:
    """Find a workflow by its name or the path of its file, and read it.

    Raises:
        ConfigError: There is none; the message lists the searched folders, and the hint the known workflows.
    """
    if name_or_path.endswith(WORKFLOW_SUFFIXES):
        return _named_file(name_or_path, project)
    package, slash, name = name_or_path.partition("/")
    if package == VALIDATORS and _is_name(name):
        return _in_folders(name_or_path, name, _validator_folders(project, home), project, home)
    if slash and _is_name(package) and _is_name(name):
        from pytest_gump.workflow.packages import find_package  # most workflows are not in a package

        return _in_package(find_package(package), name)
    if not _is_name(name_or_path):
        raise ConfigError(
            f"{quoted(name_or_path)} is not the name of a workflow",
            hint="a name is NAME or PACKAGE/NAME, without '..'; a path ends in .yaml or .yml",
        )
    return _in_folders(name_or_path, name_or_path, _folders(project, home), project, home)


def _in_folders(written: str, name: str, folders: Mapping[Path, Source], project: Path, home: Path | None) -> Found:
    for folder, source in folders.items():
        for suffix in WORKFLOW_SUFFIXES:
            path = folder / f"{name}{suffix}"
            if exists(path):
                return Found(path, source, written, _read(path))
    raise _not_found(written, folders, project, home)


def workflow_file(path: Path) -> Found:
    """Read an existing workflow file."""
    return Found(path, "file", path.stem, _read(path))


def workflow_from(stdin: BinaryIO) -> Found:
    """Read a workflow from standard input. Its paths are relative to the current folder.

    Raises:
        ConfigError: The text is too long or not UTF-8.
    """
    content = stdin.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{STDIN} has more than {MAX_BYTES} bytes, the limit")
    return Found(Path.cwd() / STDIN, "file", "stdin", decode_user_text(content, STDIN).replace("\r\n", "\n"))


def list_workflows(project: Path, home: Path | None) -> list[Found]:
    """Return the workflows with a name, sorted, and those of packages after them.

    If several folders have the same name, the first folder wins.

    Raises:
        ConfigError: Two installed packages have the same name, or a name cannot be used.
    """
    from pytest_gump.workflow.packages import list_packages  # a run needs no list

    found: dict[str, Found] = {}
    for path, source in _files(project, home):
        if path.stem not in found:
            found[path.stem] = _listed(path, source, path.stem)
    packaged = [
        _listed(path, "package", f"{package.name}/{path.stem}", package)
        for package in filter(_is_usable, list_packages())
        for path in _workflow_files(package.folder)
    ]
    return sorted(found.values(), key=lambda workflow: workflow.name) + packaged


def _is_usable(package: Package) -> bool:
    if not _is_name(package.name) or package.name == VALIDATORS:
        what = f"package {quoted(package.name)} {package.version} has a name that cannot be used"
        raise ConfigError(what, hint="rename its entry point")
    return True


def _listed(path: Path, source: Source, name: str, package: Package | None = None) -> Found:
    try:
        return Found(path, source, name, _read(path), package=package)
    except ConfigError as error:
        return Found(path, source, name, "", problem=str(error.args[0]), package=package)


def _in_package(package: Package, name: str) -> Found:
    for suffix in WORKFLOW_SUFFIXES:
        path = package.folder / f"{name}{suffix}"
        if exists(path):
            return Found(path, "package", f"{package.name}/{name}", _read(path), package=package)
    known = sorted({path.stem for path in _workflow_files(package.folder)})
    hint = suggest(name, known, f"it has: {', '.join(known) or 'none'}")
    raise ConfigError(f"package {package.name!r} {package.version} has no workflow {name!r}", hint=hint)


def builtin_folder() -> Path:
    """Return the folder of the built-in workflows: inside the package (wheel) or next to it (source checkout)."""
    package = Path(__file__).parents[1]
    inside = package / "workflows"
    return inside if inside.is_dir() else package.parent / "workflows"


def _read(path: Path) -> str:
    return read_user_text(path, MAX_BYTES, str(path)).replace("\r\n", "\n")


def _named_file(name: str, project: Path) -> Found:
    for path in (Path.cwd() / name, project / name):
        if exists(path):
            return workflow_file(path)
    hint = None if "/" in name else f"to name a workflow of the project, omit the suffix: {Path(name).stem}"
    raise ConfigError(f"workflow file {quoted(name)} does not exist", hint=hint)


def exists(path: Path) -> bool:
    """True if a path exists; False if it cannot be read, for example because its name is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def _folders(project: Path, home: Path | None) -> dict[Path, Source]:
    folders: dict[Path, Source] = {project / ".gump" / "workflows": "project"}
    if home is not None and home.absolute() != project.absolute():
        folders[home / ".gump" / "workflows"] = "user"
    return folders | {builtin_folder(): "built-in"}


def _files(project: Path, home: Path | None) -> Iterator[tuple[Path, Source]]:
    for folder, source in _folders(project, home).items():
        yield from ((path, source) for path in _workflow_files(folder))


def _workflow_files(folder: Path) -> Iterator[Path]:
    for suffix in WORKFLOW_SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            if path.is_file() and _is_name(path.stem):
                yield path


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and ".." not in text


def _validator_folders(project: Path, home: Path | None) -> dict[Path, Source]:
    """Return the folders in which Gump 0.0.4 looks for `validators/NAME`."""
    return {
        folder if source == "built-in" else folder.with_name(VALIDATORS): source
        for folder, source in _folders(project, home).items()
    }


def _not_found(name: str, folders: Mapping[Path, Source], project: Path, home: Path | None) -> ConfigError:
    looked = ", ".join("built-in" if source == "built-in" else str(folder) for folder, source in folders.items())
    known = sorted({path.stem for path, _ in _files(project, home)})
    hint = suggest(name, known, f"known: {', '.join(known)}", most=3)
    return ConfigError(f"no workflow {name!r}; looked in {looked}", hint=hint)
