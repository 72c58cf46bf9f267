"""Converts a file of Gump 0.0.4 to a file in the current form of the language."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import ConfigError, WorkflowError
from pytest_gump.text import quoted
from pytest_gump.workflow.dialect import dialect_of
from pytest_gump.workflow.former.comments import keep_comments
from pytest_gump.workflow.former.translate import translate
from pytest_gump.workflow.former.write import comment_line, write_yaml
from pytest_gump.workflow.load import parse_workflow
from pytest_gump.workflow.reading.located import WorkflowFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.workflow.find import Found
    from pytest_gump.workflow.model import Workflow

HEADER: Final = "# Converted from Gump 0.0.4 by 'gump convert'.\n"


def convert_workflow(found: Found, *, project: Path, load: Callable[[Found], Workflow]) -> str:
    """Return the converted file. Loading it gives the same workflow as loading the original.

    Args:
        load: Loads a workflow with all checks.

    Raises:
        ConfigError: The file is already in the current form.
        WorkflowError: The file has mistakes, or rules that the current language cannot express.
    """
    workflow = load(found)
    parsed = parse_workflow(found, project)
    root, problems = parsed.root, parsed.problems
    if root is None or dialect_of(root, problems) == "present":
        raise ConfigError(f"{quoted(problems.path)} is already in the current form", hint="it needs no conversion")
    folder = None if found.path is None else found.path.parent
    translation = translate(root, WorkflowFile(problems, parsed.text, folder, project))
    for problem in () if translation is None else translation.decisions.without_form:
        problems.add(*problem)
    if translation is None or problems.found:
        raise problems.error()
    last = keep_comments(parsed.text, translation.root, translation.decisions)
    text = HEADER + write_yaml(translation.root, translation.decisions.comments)
    text += "".join(f"{comment_line(line)}\n" for line in last)
    with suppress(WorkflowError):  # such as a file that is too long with the text of its prompt files
        if load(found._replace(text=text)) == workflow:
            return text
    raise ConfigError(f"{quoted(problems.path)} has no exact conversion", hint="run the file as it is")
