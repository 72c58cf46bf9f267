"""`gump playbook`: the workflows that can be named here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "playbook",
        summary="list the workflows, or show one",
        description="List the workflows that can be named here (of the project, the user, built-in), or show one.",
        examples="  gump playbook list\n  gump playbook show tdd\n  gump playbook show tdd > .gump/workflows/mine.yaml",
        execute=_list,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="name, origin and description of each").set_defaults(execute=_list)
    show = actions.add_parser("show", help="print the YAML of one")
    show.add_argument("name", metavar="NAME", help="a workflow's name, or a YAML file")
    show.set_defaults(execute=_show)


def _list(_arguments: argparse.Namespace, out: Out) -> int:
    from pytest_gump.cli.runs import project_root
    from pytest_gump.system.environment import home
    from pytest_gump.workflow.find import list_workflows

    found = list_workflows(project_root(), home())
    rows = [(one.name, one.source, f"({one.problem})" if one.problem else _description(one.text)) for one in found]
    out.table(("workflow", "from", "description"), rows)
    return 0


def _show(arguments: argparse.Namespace, out: Out) -> int:
    from pytest_gump.cli.runs import project_root
    from pytest_gump.system.environment import home
    from pytest_gump.system.output import clean_text
    from pytest_gump.workflow.find import find_workflow

    found = find_workflow(arguments.name, project_root(), home())
    out.raw(clean_text(found.text) if out.is_terminal else found.text)
    return 0


def _description(text: str) -> str:
    """What a workflow says about itself; a file that cannot be read says why when it is run."""
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return "(not valid YAML)"
    description = data.get("description") if isinstance(data, dict) else None
    return " ".join(str(description).split()) if description else ""
