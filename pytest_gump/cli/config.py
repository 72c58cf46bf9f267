"""`gump config`: the settings that count here, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.settings.settings import IniOption, Settings


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "config",
        summary="show the settings in force and where each comes from",
        description="Show every setting, its value, and where that comes from: the ini file of pytest, "
        "gump.toml, what was detected in the project, or the default.",
        examples="  gump config\n  gump config --json",
        execute=execute,
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    from pytest_gump.cli.effective import effective
    from pytest_gump.cli.runs import project_root
    from pytest_gump.settings.settings import INI_OPTIONS

    root = project_root()
    found = effective(root)
    settings, sources = found.settings, found.sources
    commands = _detected(settings) if "" not in settings.commands else {}
    rows = []
    for option in INI_OPTIONS:
        value, source = _value(option, settings), sources[option.name]
        if source == "default" and option.field in commands:
            value, source = commands[option.field], "detected"
        elif source == "default" and option.default == "detected":
            value, source = "", "nothing detected"
        rows.append((option.name, value, source))
    if arguments.json:
        import json

        data = {name: {"value": value, "source": source} for name, value, source in rows}
        whole = {"schema": 1, "project": str(root), "settings": data, "notes": found.notes}
        out.raw(json.dumps(whole, indent=2) + "\n")
        return 0
    out.line(f"project {root}")
    out.line()
    shown = [(name, value or "-", source) for name, value, source in rows]
    out.table(("setting", "value", "source"), shown, wrapped=("value",))
    for note in found.notes:
        out.line()
        out.text(f"note: {note}")
    return 0


def _value(option: IniOption, settings: Settings) -> str:
    from pytest_gump.units import format_duration

    value = getattr(settings, option.field)
    if isinstance(value, tuple):
        return (", " if option.kind in {"lines", "agents", "prices"} else " ").join(value)
    if option.kind in {"duration", "duration_or_off"}:
        return "off" if value is None else format_duration(value)
    return option.default if value is None else str(value)


def _detected(settings: Settings) -> dict[str, str]:
    """The gate commands that a run from HEAD would detect, but for those that are set; none outside a repository."""
    from pathlib import Path

    from pytest_gump.cli.runs import project_root
    from pytest_gump.errors import WorktreeError
    from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
    from pytest_gump.system.git.repository import Repository

    try:
        repository = Repository.open(project_root())
        found = gate_commands(repository, repository.head(), settings, start_folder(repository.root, Path.cwd()))
    except WorktreeError:
        return {}
    return {kind: command for kind, command in found.items() if kind not in settings.commands}
