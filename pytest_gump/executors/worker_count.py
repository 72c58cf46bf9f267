"""The number of workers of a session: set by the command line, otherwise by the parallel steps of its workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_gump.errors import GumpError
from pytest_gump.executors.protocol import CAN_FORK
from pytest_gump.jobs.arguments import ordinary_arguments
from pytest_gump.jobs.command_line import own_options
from pytest_gump.jobs.files import job_sources, project_root
from pytest_gump.jobs.session_settings import session_settings
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.load import parse_workflow
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode

if TYPE_CHECKING:
    from pytest_gump.workflow.reading.yaml_nodes import Node

DISTRIBUTIONS = ("no", "load", "worksteal")


def has_workers(config: pytest.Config) -> bool:
    option = config.option
    return bool(getattr(option, "tx", ())) and option.dist != "no" and not option.collectonly


def refuse_distribution(config: pytest.Config) -> None:
    """Refuse `--dist` modes in which ordinary tests and steps cannot share workers. Without tests, any mode works.

    Raises:
        UsageError: The session uses such a mode and has ordinary tests.
    """
    if not has_workers(config):
        return
    if config.option.dist not in DISTRIBUTIONS:
        if (
            not ordinary_arguments(config) and own_options(config).dist in DISTRIBUTIONS
        ):  # the setting of the project applies only to tests, and the session has none
            config.option.dist = "load"
            return
        raise pytest.UsageError(
            f"--dist={config.option.dist} cannot share workers with a workflow\n"
            "  hint: add --dist=load or --dist=worksteal to this command line"
        )


def ask_for_workers(config: pytest.Config) -> None:
    """Request workers if the workflows have parallel steps, and none for a dry run.

    One worker is enough on systems where it can fork a process for each order. All options that xdist derives from
    `-n` are set, because xdist may have read them already.
    """
    option = config.option
    if not config.pluginmanager.has_plugin("xdist"):
        return
    if option.gump_dry_run:
        option.numprocesses, option.dist, option.tx = 0, "no", []
    elif _may_choose(config) and (steps := _useful(config)) > 1:
        count = 1 if CAN_FORK else steps
        option.numprocesses, option.dist, option.tx = count, "load", ["popen"] * count


def _may_choose(config: pytest.Config) -> bool:
    option = config.option
    is_set = option.numprocesses is not None or option.dist != "no" or option.tx or option.distload
    debugs = getattr(option, "usepdb", False) or getattr(option, "trace", False)  # `-p no:debugging` removes them
    needs_terminal = debugs or getattr(option, "capture", "no") == "no"
    has_coverage = config.pluginmanager.has_plugin("_cov")  # pytest-cov has already started, without workers
    return not (is_set or needs_terminal or has_coverage or option.collectonly or ordinary_arguments(config))


def _useful(config: pytest.Config) -> int:
    """Return how many steps can run in parallel, at most `gump_workers`.

    Return 0 if a job has a mistake. It is reported later, when the jobs are read.
    """
    try:
        most, sources = session_settings(config).workers, job_sources(config)
    except GumpError:
        return 0
    project, widths = project_root(config), [0]
    for source in sources:
        if isinstance(source.workflow, Found) and "parallel" in source.workflow.text:
            # Parse once per source: loading a workflow adds to the list of problems of the parsed one.
            source.workflow = parse_workflow(source.workflow, project)
            widths.append(min(most, useful_workers(source.workflow.root, most)))
    return max(widths)


def useful_workers(root: Node | None, most: int) -> int:
    """Return how many steps of a workflow can run in parallel. The items of a plan count as `most`."""
    return 1 if root is None else _width_of(root, most)


def _width_of(node: Node, most: int) -> int:
    if not isinstance(node, MapNode):
        return 1
    steps = node.values.get("steps") or node.values.get("each")
    widths = [_width_of(step, most) for step in steps.nodes] if isinstance(steps, ListNode) else [1]
    parallel = node.values.get("parallel")
    if not isinstance(parallel, ScalarNode) or parallel.value is not True:
        return max(widths, default=1)
    return most if {"foreach", "each"} & node.values.keys() else sum(widths)
