"""`gump convert`: write a workflow of Gump 0.0.4 in the current form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.agents import registry
from pytest_gump.cli.command import add_command
from pytest_gump.cli.effective import effective_names
from pytest_gump.cli.runs import project_root
from pytest_gump.errors import ConfigError
from pytest_gump.text import clean_text, quoted
from pytest_gump.workflow.convert import convert_workflow
from pytest_gump.workflow.find import workflow_file, workflow_from
from pytest_gump.workflow.load import load_workflow

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.workflow.find import Found
    from pytest_gump.workflow.model import Workflow


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "convert",
        description="Print a workflow file of Gump 0.0.4 in the current form of the language. The file itself does not "
        "change.",
        examples="  gump convert old.yaml > .gump/workflows/new.yaml\n  git show HEAD~1:old.yaml | gump convert -",
        execute=_execute,
    )
    parser.add_argument("file", metavar="FILE", help="workflow file of Gump 0.0.4; - for standard input")


def _execute(arguments: argparse.Namespace, out: Out) -> int:
    found = _found(arguments.file)
    root = project_root()
    names = effective_names(root)

    def load(found: Found) -> Workflow:
        return load_workflow(
            found,
            project=root,
            gates=names.gates,
            agents=lambda agent: registry.problem(agent, names.agents),
            same_cli=lambda first, second: registry.same_cli(first, second, names.agents),
        ).workflow

    text = convert_workflow(found, project=root, load=load)
    out.raw(clean_text(text) if out.is_terminal else text)
    return 0


def _found(file: str) -> Found:
    if file == "-":
        return workflow_from(sys.stdin.buffer)
    if not Path(file).is_file():
        raise ConfigError(f"workflow file {quoted(file)} does not exist", hint="write the path of a file")
    return workflow_file(Path(file))
