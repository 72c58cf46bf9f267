"""`gump doctor`: the command."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from pytest_gump.agents import registry
from pytest_gump.agents.family import FAMILIES
from pytest_gump.cli.command import add_command, add_json
from pytest_gump.cli.doctor.agents import call_live, look_at
from pytest_gump.cli.doctor.checks import environment_checks, machine_checks
from pytest_gump.cli.doctor.output import Diagnosis, print_diagnosis, record_of
from pytest_gump.cli.effective import effective_names
from pytest_gump.cli.output import Out
from pytest_gump.cli.runs import project_root
from pytest_gump.errors import ConfigError
from pytest_gump.system.processes.process import Supervisor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_gump.agents.base import Agent
    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.doctor.agents import CliState
    from pytest_gump.cli.doctor.needs import Needs
    from pytest_gump.cli.effective import Names
    from pytest_gump.conformance import Finding


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "doctor",
        description="Check the prerequisites of runs: git, Python, pytest, disk, worktrees, and the version and login "
        "of each agent CLI. The login is checked without a request. With WORKFLOW, also run its gates. The exit code "
        "is 1 if a check fails.",
        examples="  gump doctor\n  gump doctor tdd\n  gump doctor --live claude-haiku\n"
        "  gump doctor --conformance claude codex",
        execute=execute,
    )
    parser.add_argument("name", nargs="?", metavar="WORKFLOW", help="check only the prerequisites of this workflow")
    parser.add_argument("--workflow", metavar="NAME", help="same as WORKFLOW")
    parser.add_argument(
        "--live", nargs="*", metavar="AGENT",
        help="send one small request to these agents, or to each installed CLI; it can cost a fraction of a cent",
    )  # fmt: skip
    parser.add_argument(
        "--conformance", nargs="*", metavar="CLI",
        help="test these CLIs, or all installed ones, against a scripted model on this machine, at no cost",
    )  # fmt: skip
    parser.add_argument(
        "--scenario",
        action="append",
        metavar="NAME",
        help="with --conformance: run only this scenario; may be repeated (default: all)",
    )
    add_json(parser)


def execute(arguments: argparse.Namespace, out: Out) -> int:
    if arguments.workflow and arguments.name:
        raise ConfigError("--workflow cannot be combined with WORKFLOW")
    if arguments.scenario and arguments.conformance is None:
        raise ConfigError("--scenario needs --conformance", hint="gump doctor --conformance --scenario NAME")
    root = project_root()
    names = effective_names(root)
    diagnosis = _diagnose(arguments, root, names)
    if arguments.json:
        out.json(record_of(diagnosis))
    else:
        print_diagnosis(diagnosis, out)
    return 1 if diagnosis.failed else 0


def _diagnose(arguments: argparse.Namespace, root: Path, names: Names) -> Diagnosis:
    workflow = arguments.workflow or arguments.name
    needs = _needs(workflow, root, names) if workflow else None
    called: Mapping[str, Agent] = {name: registry.resolve(name, names.agents) for name in arguments.live or ()}
    checks = [*machine_checks(root, names.settings, is_needed=needs is not None), *(needs.checks if needs else ())]
    with closing(Supervisor()) as supervisor:  # starts on first use
        if needs is not None:
            from pytest_gump.cli.doctor.gates import try_gates  # imports the engine

            checks += try_gates(needs.workflow, root, names, supervisor)
        clis = tuple(look_at(cli, supervisor) for cli in (needs.clis if needs else FAMILIES))
        if arguments.live == []:
            called = _callable(clis, needs, names)
        live = tuple(call_live(agent, supervisor, names.settings.agent_env) for agent in called.values())
    installed = [registry.resolve(cli.cli, names.agents) for cli in clis if cli.installed]
    checks += environment_checks(names.settings, installed)
    findings = None if arguments.conformance is None else _findings(arguments.conformance, clis, arguments.scenario)
    return Diagnosis(needs.workflow.name if needs else None, tuple(checks), clis, live, findings)


def _needs(workflow: str, root: Path, names: Names) -> Needs:
    from pytest_gump.cli.doctor.needs import read_needs  # imports the workflow reader

    return read_needs(workflow, root, names)


def _callable(clis: Sequence[CliState], needs: Needs | None, names: Names) -> Mapping[str, Agent]:
    """Return the agents of the workflow, or the default agent of each installed CLI."""
    if needs is not None:
        return needs.agents
    return {cli.cli: registry.resolve(cli.cli, names.agents) for cli in clis if cli.installed}


def _findings(named: Sequence[str], clis: Sequence[CliState], scenarios: Sequence[str] | None) -> tuple[Finding, ...]:
    from pytest_gump import conformance

    chosen = named or [cli.cli for cli in clis if cli.installed and cli.cli in conformance.CLIS]
    return tuple(conformance.run(chosen, Out(sys.stderr).line, tuple(scenarios or ())))
