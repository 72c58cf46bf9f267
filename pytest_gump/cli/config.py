"""`gump config`: show all settings and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, add_json
from pytest_gump.cli.effective import effective
from pytest_gump.cli.runs import project_root
from pytest_gump.errors import WorktreeError
from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
from pytest_gump.settings.settings import INI_OPTIONS
from pytest_gump.system.git.repository import Repository
from pytest_gump.units import format_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.effective import Effective
    from pytest_gump.cli.output import Out
    from pytest_gump.settings.settings import IniOption, Settings


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "config",
        description="Show all settings with their values and sources: pytest's ini file, gump.toml, the files of the "
        "project (detected), or the default.",
        examples="  gump config\n  gump config --json",
        execute=execute,
    )
    add_json(parser)


def execute(arguments: argparse.Namespace, out: Out) -> int:
    root = project_root()
    found = effective(root)
    detected = _detected(root, found.settings)
    rows = [(option.name, *_value_and_source(option, found, detected)) for option in INI_OPTIONS]
    if arguments.json:
        data = {name: {"value": value, "source": source} for name, value, source in rows}
        out.json({"schema": 1, "project": str(root), "settings": data, "notes": found.notes})
        return 0
    out.line(f"project {root}")
    out.line()
    shown = [(name, value or "-", source) for name, value, source in rows]
    out.table(("setting", "value", "source"), shown, wrapped=("value",))
    for note in found.notes:
        out.line()
        out.text(f"note: {note}")
    return 0


def _value_and_source(option: IniOption, found: Effective, detected: Mapping[str, str]) -> tuple[str, str]:
    source = found.sources[option.name]
    if source == "default" and option.field in detected:
        return detected[option.field], "detected"
    if source == "default" and option.default == "detected":
        return "", "nothing detected"
    return _value(option, found.settings), source


def _value(option: IniOption, settings: Settings) -> str:
    value = getattr(settings, option.field)
    if isinstance(value, tuple):
        return (", " if option.kind in {"lines", "agents", "prices"} else " ").join(value)
    if option.kind in {"duration", "duration_or_off"}:
        return "off" if value is None else format_duration(value)
    return option.default if value is None else str(value)


def _detected(root: Path, settings: Settings) -> dict[str, str]:
    """Return the gate commands of a run from HEAD by field of the settings; empty outside a repository."""
    try:
        repository = Repository.open(root)
        return gate_commands(repository, repository.head(), settings, start_folder(repository.root, Path.cwd()))
    except WorktreeError:
        return {}
