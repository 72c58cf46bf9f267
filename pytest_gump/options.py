"""Command line options and ini options, with their help texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def add_options(parser: pytest.Parser) -> None:
    """Add the options of group `gump` as plain strings. They are validated only if a workflow is named."""
    group = parser.getgroup("gump", "gump: workflows for AI coding agents")
    add = group.addoption
    add(
        "--gump-workflow", action="append", metavar="NAME",
        help="run this workflow on every spec among the arguments: the name of a project, user or built-in workflow, "
        "or a YAML file; may be repeated",
    )  # fmt: skip
    add(
        "--gump-spec", metavar="FILE",
        help="run the workflow YAML files among the arguments, or --gump-workflow, on this spec",
    )  # fmt: skip
    add(
        "--gump-agent", action="append", metavar="[OLD=]NEW", default=[],
        help="use agent NEW in every step, or in place of agent OLD; may be repeated",
    )  # fmt: skip
    add(
        "--gump-max-budget", metavar="USD",
        help="end the run when its attempts have cost this much; overrides max_budget of the workflow",
    )  # fmt: skip
    add(
        "--gump-on-quota", metavar="wait|stop|AGENT",
        help="at the usage limit of an agent's account: stop (default), wait until the limit ends, or continue with "
        "AGENT; overrides gump_on_quota",
    )  # fmt: skip
    add("--gump-base", metavar="REF", help="start the run from this commit (default: HEAD)")
    add(
        "--gump-dirty", choices=["refuse", "include"], default="refuse",
        help="with uncommitted changes of tracked files: refuse to start (default), or include them in the run's base",
    )  # fmt: skip
    add(
        "--gump-input", action="append", metavar="KEY=VALUE", default=[],
        help="set an input that the workflow declares; may be repeated",
    )  # fmt: skip
    add(
        "--gump-pause-after", action="append", metavar="STEP", default=[],
        help="a person must approve the work of the agent of STEP before its gates run, as with 'hitl: true'; may be "
        "repeated",
    )  # fmt: skip
    _add_past(add)
    add(
        "--gump-dry-run", action="store_true",
        help="show what the workflow would do, step by step, without running anything",
    )  # fmt: skip
    add(
        "--gump-no-preflight", action="store_true",
        help="do not run the gate commands on the unchanged base first",
    )  # fmt: skip
    add(
        "--gump-ci", choices=["auto", "github", "gitlab", "off"], default="auto",
        help="report the runs to a CI service: summary and annotations (github), log sections and artifacts (gitlab); "
        "default auto: the service that the session runs in, if any",
    )  # fmt: skip
    _add_cassettes(add)
    add_ini(parser)


def _add_past(add: Callable[..., None]) -> None:
    add(
        "--gump-resume", metavar="RUN", nargs="?", const="", default=None,
        help="resume a run that failed or was interrupted (default: the newest run), with its spec, workflow, options "
        "and base",
    )  # fmt: skip
    add(
        "--gump-from", metavar="STEP[@RUN]",
        help="start a new run that reuses the results before STEP of an earlier run (default: the newest), for example "
        "build::impl[item-2]",
    )  # fmt: skip


def _add_cassettes(add: Callable[..., None]) -> None:
    add(
        "--gump-record", metavar="DIR",
        help="record the agents as a cassette in DIR (new or empty), for --gump-replay",
    )  # fmt: skip
    add(
        "--gump-replay", metavar="DIR",
        help="replay the cassette in DIR instead of starting agents: no account, no network, no cost",
    )  # fmt: skip
    add(
        "--gump-replay-lenient", action="store_true",
        help="replay a recorded attempt even if its prompt has changed",
    )  # fmt: skip
    add(
        "--gump-replay-delay", metavar="FACTOR", default="0",
        help="multiply the recorded pauses by FACTOR (default: 0, no pauses)",
    )  # fmt: skip


def add_ini(parser: pytest.Parser) -> None:
    from pytest_gump.settings.ini_options import INI_OPTIONS

    for option in INI_OPTIONS:
        default = f" (default: {option.default})" if option.default else ""
        parser.addini(option.name, f"gump: {option.help}{default}", type=option.type, default=None)
