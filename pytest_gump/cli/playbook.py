"""`gump playbook`: list and show workflows, and print the JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from pytest_gump.agents import registry
from pytest_gump.cli.command import add_command
from pytest_gump.cli.effective import effective_names
from pytest_gump.cli.runs import project_root
from pytest_gump.gates.registry import BUILTIN
from pytest_gump.system.environment import home
from pytest_gump.text import clean_text
from pytest_gump.workflow.find import find_workflow, list_workflows
from pytest_gump.workflow.schema import json_schema

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.workflow.find import Found


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "playbook",
        description="List the workflows of the project, the user, pytest-gump and installed packages, show a workflow, "
        "or print the JSON Schema of workflow files for editors.",
        examples="  gump playbook list\n  gump playbook show tdd\n"
        "  gump playbook show tdd > .gump/workflows/mine.yaml\n"
        "  gump playbook schema > .gump/workflows/workflow.schema.json",
        execute=_list,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="list all workflows with origin and description").set_defaults(execute=_list)
    show = actions.add_parser("show", help="print the YAML of a workflow")
    show.add_argument("name", metavar="NAME", help="NAME or PACKAGE/NAME of a workflow, or a YAML file")
    show.set_defaults(execute=_show)
    schema = actions.add_parser("schema", help="print the JSON Schema with agents, gates and workflows of this project")
    schema.set_defaults(execute=_schema)


def _list(_arguments: argparse.Namespace, out: Out) -> int:
    found = list_workflows(project_root(), home())
    rows = [
        (workflow.name, _origin(workflow), f"({workflow.problem})" if workflow.problem else _description(workflow.text))
        for workflow in found
    ]
    out.table(("workflow", "from", "description"), rows)
    return 0


def _origin(workflow: Found) -> str:
    package = workflow.package
    return workflow.source if package is None else f"package {package.name} {package.version}"


def _show(arguments: argparse.Namespace, out: Out) -> int:
    found = find_workflow(arguments.name, project_root(), home())
    text = _without_schema(found.text) if found.source == "built-in" else found.text
    out.raw(clean_text(text) if out.is_terminal else text)
    return 0


def _without_schema(text: str) -> str:
    """Remove the comment that refers to the schema file, because a copy has no schema next to it."""
    first, _, rest = text.partition("\n")
    return rest if first.startswith("# yaml-language-server:") else text


def _schema(_arguments: argparse.Namespace, out: Out) -> int:
    names = effective_names(project_root())
    agents = [*dict.fromkeys([*names.agents, *registry.known(names.agents)])]
    workflows = [workflow.name for workflow in list_workflows(project_root(), home())]
    schema = json_schema(agents=agents, gates=[*BUILTIN, *names.gates], workflows=workflows)
    out.json(schema)
    return 0


def _description(text: str) -> str:
    """Return the description in a workflow file. Errors in the file are reported when it is run."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return "(not valid YAML)"
    description = data.get("description") if isinstance(data, dict) else None
    return " ".join(str(description).split()) if description else ""
