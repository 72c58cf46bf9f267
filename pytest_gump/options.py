"""Command line options and ini settings, with the help that `pytest --help` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def add_options(parser: pytest.Parser) -> None:
    """Add the `gump` group. Plain strings only: what they mean is checked when a workflow is named."""
    group = parser.getgroup("gump", "gump: workflows for AI coding agents")
    add = group.addoption
    add(
        "--gump-workflow", action="append", metavar="NAME",
        help="run this workflow on every spec among the arguments: a name (project, user or built-in) or a YAML file; "
        "may be repeated",
    )  # fmt: skip
    add(
        "--gump-spec", metavar="FILE",
        help="the spec for workflow YAML files among the arguments, or for --gump-workflow",
    )  # fmt: skip
    add(
        "--gump-agent", action="append", metavar="[OLD=]NEW", default=[],
        help="use agent NEW in every step, or wherever the workflow says OLD; may be repeated",
    )  # fmt: skip
    add(
        "--gump-max-budget", metavar="USD",
        help="end the run when its attempts have cost this much; overrides the workflow's max_budget",
    )  # fmt: skip
    add(
        "--gump-on-quota", metavar="wait|stop|AGENT",
        help="when the account of an agent is at its limit: stop (default), wait until it is over, or let AGENT take "
        "over; overrides gump_on_quota",
    )  # fmt: skip
    add("--gump-base", metavar="REF", help="commit that the run starts from (default: HEAD)")
    add(
        "--gump-dirty", choices=["refuse", "include"], default="refuse",
        help="what to do with uncommitted changes of tracked files: refuse to start (default), or include them in "
        "the run's base",
    )  # fmt: skip
    add(
        "--gump-input", action="append", metavar="KEY=VALUE", default=[],
        help="value of an input that the workflow declares; may be repeated",
    )  # fmt: skip
    _add_past(add)
    add(
        "--gump-dry-run", action="store_true",
        help="print what the workflow would do, step by step, and run nothing",
    )  # fmt: skip
    add(
        "--gump-no-preflight", action="store_true",
        help="do not run the workflow's gate commands on the untouched base first",
    )  # fmt: skip
    add(
        "--gump-ci", choices=["auto", "github", "gitlab", "off"], default="auto",
        help="tell a CI service what the runs did: summary and annotations (github), log section and artifacts "
        "(gitlab); default auto: the one that the session runs in, if any",
    )  # fmt: skip
    _add_cassettes(add)
    add_ini(parser)


def _add_past(add: Callable[..., None]) -> None:
    add(
        "--gump-resume", metavar="RUN", nargs="?", const="", default=None,
        help="continue a run that failed, was interrupted or was killed (default: the newest run); takes spec, "
        "workflow, options and base from it",
    )  # fmt: skip
    add(
        "--gump-from", metavar="STEP[@RUN]",
        help="begin a new run that takes over what an earlier one (default: the newest) did before STEP, "
        "for example build::impl[item-2]",
    )  # fmt: skip


def _add_cassettes(add: Callable[..., None]) -> None:
    add(
        "--gump-record", metavar="DIR",
        help="record what the agents do as a cassette in DIR, a new folder, for --gump-replay",
    )  # fmt: skip
    add(
        "--gump-replay", metavar="DIR",
        help="play the cassette in DIR instead of starting agents: no account, no network, no cost",
    )  # fmt: skip
    add(
        "--gump-replay-lenient", action="store_true",
        help="play a recorded attempt although its prompt has changed since",
    )  # fmt: skip
    add(
        "--gump-replay-delay", metavar="FACTOR", default="0",
        help="scale the recorded pauses by FACTOR (default 0: none), so that a replay can be watched",
    )  # fmt: skip


def add_ini(parser: pytest.Parser) -> None:
    from pytest_gump.settings.ini_options import INI_OPTIONS

    for option in INI_OPTIONS:
        default = f" (default: {option.default})" if option.default else ""
        parser.addini(option.name, f"gump: {option.help}{default}", type=option.type, default=None)
