"""The permissions of a step's agent, from its gates and the settings."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from typing import TYPE_CHECKING

from pytest_gump.agents.shell.permissions import Permissions, permissions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.order import Mode
    from pytest_gump.workflow.model import GateSpec


def permitted(
    mode: Mode, commands: Iterable[tuple[str, str]], gates: Iterable[GateSpec], allowed: Iterable[str]
) -> Permissions:
    """Return what the agent of a step may do.

    Args:
        mode: Mode of the step.
        commands: Gate commands of the project, each with the name of its gate.
        gates: Gates of the step.
        allowed: The commands of `gump_allow_commands`.
    """
    return permissions(mode, dict(gate_texts(commands, gates)).values(), allowed=allowed)


def gate_texts(commands: Iterable[tuple[str, str]], gates: Iterable[GateSpec]) -> Iterator[tuple[str, str]]:
    """Yield the gate commands that help an agent, each with its label.

    Modules of Python that are not installed are left out, such as a linter that only a settings file names. So is the
    command for coverage in a step without this gate.
    """
    gates = tuple(gates)
    names = {gate.name for gate in gates}
    helpful = ((name, command) for name, command in commands if name != "coverage" or name in names)
    yield from ((name, command) for name, command in helpful if _is_installed(command))
    yield from ((gate.label, gate.argument) for gate in gates if gate.name == "bash" and gate.argument)


def _is_installed(command: str) -> bool:
    """False if a command runs a module that the interpreter of the session does not have."""
    modules = re.findall(rf"(?:^|\s){re.escape(shlex.quote(sys.executable))} -m (\w+)", command)
    return all(importlib.util.find_spec(module) is not None for module in modules)
