"""What one workflow needs, and which of it is not here."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.cli.doctor_checks import Check, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_gump.agents.base import Agent
    from pytest_gump.cli.effective import Names
    from pytest_gump.workflow.model import Workflow

_SHELL: Final = frozenset(
    {"cd", "test", "[", "[[", "(", "{", "!", ".", ":", "true", "false", "echo", "export", "set", "source"}
    | {"if", "for", "while", "exec", "command"}
)
"""First words that need no program."""


@dataclass(frozen=True, slots=True)
class Needs:
    workflow: str
    agents: Mapping[str, Agent]
    clis: tuple[str, ...]
    """Of the agents, as far as there is an adapter of ours."""
    checks: tuple[Check, ...]


def read_needs(name: str, root: Path, names: Names) -> Needs:
    """Read a workflow as a run would.

    Raises:
        GumpError: there is none of that name, or it has mistakes.
    """
    from pytest_gump.agents import registry
    from pytest_gump.engine.overrides import agents_of
    from pytest_gump.system.environment import home
    from pytest_gump.workflow.find import find_workflow
    from pytest_gump.workflow.load import load_workflow

    loaded = load_workflow(
        find_workflow(name, root, home()),
        project=root,
        gates=names.gates,
        agents=lambda agent: registry.problem(agent, names.agents),
        same_cli=lambda one, other: registry.same_cli(one, other, names.agents),
    )
    agents = {agent: registry.resolve(agent, names.agents) for agent in dict.fromkeys(agents_of(loaded.workflow))}
    clis = dict.fromkeys(agent.cli for agent in agents.values() if agent.cli in registry.FAMILIES)
    checks = (*_agents(agents), *_gates(loaded.workflow, root, names))
    return Needs(loaded.workflow.name, agents, tuple(clis), checks)


def _agents(agents: Mapping[str, Agent]) -> Iterator[Check]:
    for name, agent in agents.items():
        missing = agent.missing()
        told = f"can start ({agent.cli})" if missing is None else missing
        yield Check(f"agent {name}", "ok" if missing is None else "failed", told)


def _gates(workflow: Workflow, root: Path, names: Names) -> Iterator[Check]:
    from pytest_gump.engine.gate_commands import gate_commands
    from pytest_gump.engine.overrides import leaves
    from pytest_gump.errors import WorktreeError
    from pytest_gump.gates.commands import OPTIONAL
    from pytest_gump.gates.names import PROJECT_GATES
    from pytest_gump.system.worktree import Repository

    named = dict.fromkeys(gate.name for _, step in leaves(workflow.steps) for gate in step.gate)
    wanted = [name for name in named if name in PROJECT_GATES]
    if not wanted:
        return
    try:
        repository = Repository.open(root)
        commands = gate_commands(repository, repository.head(), names.settings)
    except WorktreeError:
        return  # told as the repository that is not there
    for kind in wanted:
        is_optional = kind in OPTIONAL or (kind == "compile" and "test" in commands)
        yield _gate(kind, commands.get(kind), root, is_optional=is_optional)


def _gate(kind: str, command: str | None, root: Path, *, is_optional: bool) -> Check:
    name = f"gate {kind}"
    state: State = "note" if is_optional else "failed"
    skipped = "; the gate is skipped" if is_optional else ""
    if command is None:
        return Check(name, state, f"no command found for this project{skipped}", f"set gump_{kind} in the ini file")
    program = _program(command)
    if program is None or _is_there(program, root):
        return Check(name, "ok", command)
    return Check(name, state, f"{program} is not on PATH{skipped}", f"command: {command}")


def _program(command: str) -> str | None:
    """The program that a command starts with; None where the shell itself has it, or nobody can tell."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    word = next((word for word in words if "=" not in word), None)
    return None if word in _SHELL or any(sign in (word or "") for sign in "$`(*{") else word


def _is_there(program: str, root: Path) -> bool:
    return (root / program).exists() if "/" in program else shutil.which(program) is not None
