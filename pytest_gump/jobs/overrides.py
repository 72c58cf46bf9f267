"""Overrides of a workflow by the command line: agents, budget and inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.errors import AgentError, ConfigError
from pytest_gump.workflow.edit import AgentOverride, override_agents, pause_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from pytest_gump.workflow.model import Workflow


def read_agents(config: pytest.Config, agent_error: Callable[[str], str | None]) -> AgentOverride:
    """Read `--gump-agent`.

    Raises:
        AgentError: It names an unknown agent.
        ConfigError: It has another form.
    """
    override = AgentOverride.from_options(map(str, config.getoption("gump_agent")))
    for agent in override.agents:
        if problem := agent_error(agent):
            raise AgentError(f"--gump-agent: {problem}")
    return override


def override_workflow(config: pytest.Config, workflow: Workflow, override: AgentOverride) -> Workflow:
    workflow = override_agents(workflow, override)
    for name in config.getoption("gump_pause_after"):
        workflow = pause_after(workflow, str(name))
    budget = config.getoption("gump_max_budget")
    if budget is None:
        return workflow
    try:
        usd = float(budget)
    except ValueError:
        usd = 0.0
    if not 0 < usd < float("inf"):
        raise ConfigError(f"--gump-max-budget must be an amount in dollars above zero, not {budget!r}")
    return replace(workflow, max_budget=usd)


def written_inputs(config: pytest.Config) -> dict[str, str]:
    """Return the values of `--gump-input`, unchecked."""
    options = (str(option).partition("=") for option in config.getoption("gump_input"))
    return {key: value for key, equals, value in options if equals}


def check_agents(names: Sequence[str], given: Mapping[str, str], agent_error: Callable[[str], str | None]) -> None:
    """Check the inputs that are agents.

    Raises:
        AgentError: `--gump-input` gives one of them an unknown agent.
    """
    for name in names:
        if name in given and (problem := agent_error(given[name])):
            raise AgentError(f"--gump-input: input '{name}': {problem}")


def read_inputs(config: pytest.Config, workflow: Workflow) -> dict[str, str]:
    """Return the value of each input that has one.

    Raises:
        ConfigError: `--gump-input` names no input or its value is not valid, or a required input has no value.
    """
    if not workflow.inputs and not config.getoption("gump_input"):
        return {}
    from pytest_gump.workflow.inputs import input_hint, missing, value_error  # most workflows have no inputs

    given: dict[str, str] = {}
    for option in config.getoption("gump_input"):
        key, equals, value = str(option).partition("=")
        if not equals:
            raise ConfigError(f"--gump-input {option!r} is not KEY=VALUE")
        if key not in workflow.inputs:
            declared = ", ".join(workflow.inputs) or "none"
            raise ConfigError(
                f"--gump-input: workflow {workflow.name!r} has no input {key!r}", hint=f"inputs: {declared}"
            )
        if wrong := value_error(key, workflow.inputs[key], value):
            raise ConfigError(f"--gump-input: {wrong}", hint=workflow.inputs[key].description or None)
        given[key] = value
    for name in missing(workflow.inputs, given):
        facts = input_hint(workflow.inputs[name])
        hint = f"--gump-input {name}=..." + (f" ({facts})" if facts else "")
        raise ConfigError(f"workflow {workflow.name!r} requires input {name!r}", hint=hint)
    defaults = {name: declared.default for name, declared in workflow.inputs.items() if declared.default is not None}
    return {**defaults, **given}
