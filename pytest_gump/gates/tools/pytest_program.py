"""Runs pytest on a worktree, with pytest itself and its plugins imported before any file of that worktree.

A separate program: `python -P pytest_program.py [--measure[=SOURCE]] [--root FOLDER]... -- [PYTEST ARGUMENT]...`.
It writes records, one JSON object per line, to descriptor 3 as the tests run; `records.py` reads them and
docs/explanation/what-is-on-disk.md describes them. `--measure` measures coverage as `coverage run` does.

The `__main__` guard is needed: processes that the tests start with multiprocessing import this file again.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMAT: Final = 1
RECORDS_FD: Final = 3
RUNNER: Final = ("pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "pytest")
"""pytest 8 and 9 and everything that they import, some of it on demand."""
_INSTALLED: Final = ("site-packages", "dist-packages")
_NO_REWRITE: Final = "PYTEST_DONT_REWRITE"


def main(argv: Sequence[str]) -> int:
    split = argv.index("--")
    options, arguments = argv[:split], [*argv[split + 1 :], "--maxfail=0"]
    roots = [value for name, _, value in (option.partition("=") for option in options) if name == "--root"]
    measure = next((option for option in options if option.startswith("--measure")), None)
    recorder = Recorder(_own_descriptor())
    put_first(roots)
    with _hidden(roots):
        import_runner()
        coverage = None if measure is None else importlib.import_module("coverage")
        pytest = importlib.import_module("pytest")
    sys.argv = [os.path.join(*pytest.__path__, "__main__.py"), *arguments]  # noqa: PTH118
    with contextlib.nullcontext() if coverage is None else _measured(coverage, measure or ""):
        code = int(pytest.main(arguments, plugins=[with_hooks(recorder, pytest)]))
    recorder.write("exit", exit_code=code)
    return code


def _own_descriptor() -> int | None:
    """Move descriptor 3 to another number that no child process inherits, and return it; None if it is not open."""
    import fcntl

    try:
        own = fcntl.fcntl(RECORDS_FD, fcntl.F_DUPFD_CLOEXEC, 64)
    except OSError:
        return None
    os.close(RECORDS_FD)
    return own


def put_first(roots: Sequence[str]) -> None:
    """Put `roots` first on the import path of this process and its children."""
    sys.path[0:0] = roots
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*roots, *known]))


class _Nothing:
    """Finds no module."""

    def find_spec(self, name: str, target: object = None) -> None:
        """Return None: the module is not found."""

    def invalidate_caches(self) -> None:
        """Nothing is cached."""


@contextlib.contextmanager
def _hidden(roots: Sequence[str]) -> Iterator[None]:
    """Import nothing from `roots` in this block. They stay on the path, because plugins such as xdist copy it."""
    sys.path_importer_cache.update(dict.fromkeys(roots, _Nothing()))
    try:
        yield
    finally:
        for root in roots:
            sys.path_importer_cache.pop(root, None)


def import_runner() -> None:
    """Import pytest, what it imports, and the installed plugins.

    Plugins outside of the folders for installed packages are left out: an editable installation of the project must
    come from the worktree.
    """
    before = set(sys.modules)
    for name in RUNNER:
        _import_installed(name)
    of_pytest = set(sys.modules)
    if not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        for name in dict.fromkeys(_plugin_modules()):
            _import_installed(name)
    for name in {*sys.modules} - of_pytest - before:
        module = sys.modules[name]
        if _is_installed(getattr(module, "__file__", None) or ""):
            # pytest warns about plugins that were imported before it could rewrite their assertions, except these.
            module.__doc__ = f"{module.__doc__ or ''}\n{_NO_REWRITE}"


def _is_installed(file: str) -> bool:
    return any(f"{os.sep}{folder}{os.sep}" in file for folder in _INSTALLED)


def _import_installed(name: str) -> None:
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return
    origin = None if spec is None else spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    if origin is not None and _is_installed(origin):
        with contextlib.suppress(Exception):  # pytest imports it again and reports the error
            importlib.import_module(name)


def _plugin_modules() -> Iterator[str]:
    """Yield the modules that installed distributions register as plugins of pytest."""
    for folder in sys.path:
        try:
            names = [name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            with contextlib.suppress(OSError), open(f"{folder}/{name}/entry_points.txt", "rb") as file:  # noqa: PTH123
                yield from _entries(file.read().decode("utf-8", "replace"))


def _entries(text: str) -> Iterator[str]:
    is_plugin = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            is_plugin = line == "[pytest11]"
        elif is_plugin and "=" in line:
            yield line.partition("=")[2].partition(":")[0].strip()


@contextlib.contextmanager
def _measured(coverage: Any, measure: str) -> Iterator[None]:
    """Measure as `coverage run` does, except that coverage.py is imported before the worktree is on the path."""
    source = measure.partition("=")[2]
    measuring = coverage.Coverage(source=[source] if source else None, messages=True)
    measuring.start()
    try:
        yield
    finally:
        measuring.stop()
        measuring.save()


def with_hooks(recorder: Recorder, pytest: Any) -> Recorder:
    """Mark the hooks that must run before those of the project, and the hook of xdist, which may be missing."""
    first = pytest.hookimpl(tryfirst=True)
    first(Recorder.pytest_configure)
    first(Recorder.pytest_runtest_logreport)
    pytest.hookimpl(wrapper=True)(Recorder.pytest_runtest_makereport)
    pytest.hookimpl(optionalhook=True)(Recorder.pytest_xdist_node_collection_finished)
    return recorder


class Recorder:
    """A plugin that writes pytest's reports as records."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._process = os.getpid()

    def write(self, event: str, **fields: Any) -> None:
        if self._descriptor is None or os.getpid() != self._process:
            return
        rest = memoryview(json.dumps({"event": event, **fields}).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def pytest_configure(self, config: Any) -> None:
        """Turn off all options that select tests by an earlier run, even if they are configured."""
        for name in ("lf", "failedfirst", "newfirst", "stepwise", "stepwise_skip"):
            if hasattr(config.option, name):
                setattr(config.option, name, False)
        workers = getattr(config.option, "dist", "no") != "no" or bool(getattr(config.option, "tx", None))
        version = importlib.import_module("pytest").__version__
        left_out = _leaving_out(config.option)
        self.write("session", format=FORMAT, pytest=version, parallel=workers, left_out=left_out)

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome != "passed":
            self.write("collect", id=report.nodeid, outcome=report.outcome, error=_error_of(report))

    def pytest_deselected(self, items: Sequence[Any]) -> None:
        self.write("deselected", count=len(items))

    def pytest_collection_finish(self, session: Any) -> None:
        self.write("collected", count=len({item.nodeid for item in session.items}))

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.write("collected", count=len({*ids}))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write("start", id=nodeid)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:  # noqa: ARG002 - a wrapper gets what the hook gets
        report = yield
        if call.excinfo is not None:
            report.gump_error = call.excinfo.typename
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = {"skipped": "xfailed", "passed": "xpassed"}.get(outcome, outcome)
        error = _error_of(report) if outcome in {"failed", "xfailed"} else None
        self.write("phase", id=report.nodeid, phase=report.when, outcome=outcome, error=error)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.write("end", id=nodeid)


def _leaving_out(option: Any) -> list[str]:
    """Return the options that leave out tests, in the form of a command line."""
    single = (("-k", "keyword"), ("-m", "markexpr"))
    several = (("--deselect", "deselect"), ("--ignore", "ignore"), ("--ignore-glob", "ignore_glob"))
    found = [f"{flag} {value}" for flag, name in single if (value := getattr(option, name, None))]
    return found + [f"{flag}={value}" for flag, name in several for value in getattr(option, name, None) or ()]


def _error_of(report: Any) -> str | None:
    """Return the type of the exception. For a collection, or a report from another process, read it from the text."""
    known = getattr(report, "gump_error", None)
    if known is not None:
        return str(known)
    crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
    head = str(getattr(crash, "message", "")).partition(":")[0].split("\n")[0].strip()
    if head.startswith("assert"):
        return "AssertionError"
    return head.rpartition(".")[2] if head.replace(".", "").isidentifier() else None


if __name__ == "__main__":
    # Compiled without a file name, because coverage.py would count these lines as lines of the project.
    with open(__file__, "rb") as itself:  # noqa: PTH123
        unnamed = {"__name__": "pytest_program"}
        exec(compile(itself.read(), "<pytest_program>", "exec"), unnamed)  # noqa: S102
    sys.exit(unnamed["main"](sys.argv[1:]))  # type: ignore[operator]
