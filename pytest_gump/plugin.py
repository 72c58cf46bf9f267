"""The pytest plugin: adds the options, and imports the rest only if the command line names a workflow."""

from __future__ import annotations

import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.jobs.command_line import command_line, example, names_workflow, only_shows, path_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from pytest_gump.conductor import Conductor

NAME = "gump-conductor"
ON_WORKER = "gump-orders"
SPECS = frozenset({".md", ".markdown", ".rst", ".txt"})
_WORKTREES = re.compile(r"-[0-9a-f]{8}$")
"""Suffix of the folder with the worktrees of a project."""
SHARED = "gump_channel"
"""Key in `workerinput` that marks workers of a session with a workflow."""


class PlainImports:
    """Import hook that exempts the modules of this package from pytest's assertion rewriting.

    They have no assertions. With rewriting, importing 240 modules takes 85 ms longer, and seconds longer the first
    time, because the bytecode that the installer compiled is not used. Modules that can be named with `-p` or
    `pytest_plugins` are left to pytest, which warns if it did not import them itself.
    """

    NAMED: Final = frozenset({"pytest_gump.plugin", "pytest_gump.testing"})

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_ours = name.startswith("pytest_gump.") and name not in cls.NAMED
        return PathFinder.find_spec(name, path, target) if is_ours else None

    @classmethod
    def install(cls) -> None:
        if cls not in sys.meta_path:
            sys.meta_path.insert(0, cls)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_gump import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_gump.options import add_options

    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Do not load conftests of tests that are not requested: they may need packages that are not installed.

    Without an existing argument, as in `pytest --gump-resume`, pytest loads those of `testpaths` or `test*`.
    """
    if not names_workflow(early_config):
        return
    PlainImports.install()
    from pytest_gump.session.planted import refuse_planted

    options, folder = early_config.known_args_namespace, early_config.invocation_params.dir
    refuse_planted(folder)
    if not options.pyargs and not any(path_of(str(name), folder).exists() for name in options.file_or_dir):
        around = (above / "conftest.py" for above in (folder, *folder.parents))
        options.file_or_dir = [str(next((path for path in around if path.is_file()), __file__))]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | None, int | None]:
    """Complete the options of a run before the session starts. Set the exit code after all other plugins."""
    if not config.getoption("help", default=False) and not hasattr(config, "workerinput"):
        _settle_options(config)
    try:
        status = yield
    except SystemExit as error:  # raised by a hook at the end of the session
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise SystemExit(_settled(config, status)) from error
    return None if status is None else _settled(config, int(status))


def _settled(config: pytest.Config, status: int) -> int:
    conductor: Conductor | None = config.pluginmanager.get_plugin(NAME)
    if conductor is not None:
        return conductor.exit_code.settle(status)
    if status == 0 and names_workflow(config) and not only_shows(config):
        sys.stderr.write("ERROR: another plugin ended the session before the run began\n")
        return int(pytest.ExitCode.TESTS_FAILED)
    return status


def _settle_options(config: pytest.Config) -> None:
    """Refuse run options without a workflow. Otherwise, adopt the options of an earlier run and request workers."""
    if not names_workflow(config):
        refuse_without_workflow(config)
    else:
        from pytest_gump.system.garbage import no_garbage

        with no_garbage():
            from pytest_gump.executors.worker_count import ask_for_workers
            from pytest_gump.jobs.previous_run import adopt
            from pytest_gump.session.interrupts import usage_errors

        with usage_errors():
            adopt(config)
        ask_for_workers(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the conductor if this session runs a workflow. Otherwise pytest is unchanged."""
    if SHARED in getattr(config, "workerinput", ()):
        PlainImports.install()
        from pytest_gump.system.garbage import freeze_once, no_garbage

        with no_garbage():
            from pytest_gump.executors.worker import OrderServer

        freeze_once()
        config.pluginmanager.register(OrderServer(config), ON_WORKER)
        return
    if config.getoption("help", default=False) or not names_workflow(config):
        return
    from pytest_gump.system.garbage import no_garbage

    with no_garbage():
        from pytest_gump.conductor import Conductor

    config.pluginmanager.register(Conductor(config), NAME)


def pytest_report_header(config: pytest.Config) -> str | None:
    if config.getoption("gump_workflow", default=None) and not config.pluginmanager.has_plugin(NAME):
        return "gump: --gump-workflow outside the command line is ignored: only the command line starts agents"
    return None


def refuse_without_workflow(config: pytest.Config) -> None:
    """Refuse `--gump-` options without a workflow: pytest would run ordinary tests, even with `--gump-dry-run`.

    Raises:
        UsageError: The command line has such an option.
    """
    for argument in command_line(config):
        option = argument.partition("=")[0]
        if option.startswith("--gump-"):
            raise pytest.UsageError(
                f"{option} needs a workflow, but the command line names none\n"
                f"  hint: add a workflow and a spec: {example(config)}"
            )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Add a hint if a spec is given without a workflow. Pytest only reports that it is not found."""
    try:
        return (yield)
    except pytest.UsageError as error:
        config = session.config
        given = (Path(config.invocation_params.dir, word) for word in map(str, config.args))
        spec = next((path for path in given if path.suffix in SPECS and path.is_file()), None)
        if spec is None or config.pluginmanager.has_plugin(NAME):
            raise
        hint = f"  hint: {spec.name} is not a test; to run a workflow on it: {example(config, spec=spec.name)}"
        raise pytest.UsageError("\n".join([*map(str, error.args), hint])) from None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the worktrees of runs, which are inside the checkout if the user's cache is."""
    if not _WORKTREES.search(collection_path.name) or not (collection_path / "w1.lease").exists():
        return None
    return None if collection_path in (here := config.invocation_params.dir, *here.parents) else True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect a file of a run only as its steps. A spec is not a doctest."""
    found = yield
    plugin = parent.config.pluginmanager.get_plugin(NAME) or parent.config.pluginmanager.get_plugin(ON_WORKER)
    own = None if plugin is None else plugin.collect_file(file_path, parent)
    return found if own is None else own
