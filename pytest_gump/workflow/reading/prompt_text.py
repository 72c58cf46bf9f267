"""Reads prompts: text in the workflow, or a prompt file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import ConfigError
from pytest_gump.system.files import read_user_text
from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.reading.located import Templated
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode

if TYPE_CHECKING:
    from pytest_gump.workflow.problems import Position
    from pytest_gump.workflow.reading.fields import Fields
    from pytest_gump.workflow.reading.located import Surroundings, WorkflowFile

MAX_PROMPT_BYTES: Final = 1_048_576


def read_prompt(fields: Fields, around: Surroundings) -> Templated | None:
    node = fields.get("prompt")
    if not isinstance(node, MapNode):
        text = fields.text("prompt")
        return Templated(text, node) if text is not None and isinstance(node, ScalarNode) else None
    below = fields.mapping("prompt", keys.keys(keys.PromptFile))
    if below is None:
        return None
    if "file" not in below:
        below.refuse("'prompt' must be text or {file: PATH}")
        return None
    written = below.text("file")
    return None if written is None else read_prompt_file(written, below.value_position("file"), around.file)


def shown(path: Path, project: Path) -> str:
    """Return a path relative to the project if it is inside, otherwise the whole path."""
    try:
        return path.absolute().relative_to(project.absolute()).as_posix()
    except ValueError:
        return str(path)


def read_prompt_file(written: str, position: Position, file: WorkflowFile) -> Templated | None:
    """Read a prompt file; None if it cannot be read, which is reported."""
    folder = file.folder
    if folder is None:
        file.problems.add(
            position, "this workflow has no folder, so it cannot have prompt files", "write the prompt itself"
        )
        return None
    name = f"prompt file {quoted(written)}"
    try:
        text = read_user_text(_inside(folder, written, file.project, name), MAX_PROMPT_BYTES, name)
    except ConfigError as error:
        file.problems.add(position, str(error.args[0]), "the path is relative to the workflow file")
        return None
    return Templated(text, file=shown(folder / written, file.project))


def _inside(folder: Path, written: str, project: Path, name: str) -> Path:
    """Return the path of a prompt file, with its links resolved.

    Raises:
        ConfigError: The path is absolute, or leads to a file outside the workflow's folder and the project.
    """
    if PurePosixPath(written).is_absolute():
        raise ConfigError(f"{name} must be relative")
    try:
        real = (folder / written).resolve()
        if any(real.is_relative_to(home.resolve()) for home in (folder, project)):
            return real
    except (OSError, ValueError, RuntimeError):
        raise ConfigError(f"{name} cannot be reached") from None
    raise ConfigError(f"{name} is outside the project and the workflow's folder")
