"""Sessions with runs, ordinary tests and plugins of all kinds, and the exit code that each must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

OF_STEPS: Final = "if item.path.suffix != '.py': {body}"
HOOKS: Final = {
    **{
        f"{hook} {what.split('(')[0]}": f"def pytest_runtest_{hook}(self, item):\n        {OF_STEPS.format(body=what)}"
        for hook in ("setup", "call", "teardown")
        for what in ("pytest.skip('why')", "pytest.fail('why')", "pytest.xfail('why')", "raise ValueError('why')")
    },
    "all reports pass": (
        "@pytest.hookimpl(wrapper=True)\n    def pytest_runtest_makereport(self, item, call):\n"
        "        report = yield\n        if item.path.suffix != '.py': report.outcome = 'passed'\n        return report"
    ),
    "all reports fail": (
        "@pytest.hookimpl(wrapper=True)\n    def pytest_runtest_makereport(self, item, call):\n"
        "        report = yield\n        if item.path.suffix != '.py': report.outcome = 'failed'\n        return report"
    ),
    "logged as passed": (
        "@pytest.hookimpl(tryfirst=True)\n    def pytest_runtest_logreport(self, report):\n"
        "        if '.py' not in report.nodeid: report.outcome = 'passed'"
    ),
    "logged as failed": (
        "@pytest.hookimpl(tryfirst=True)\n    def pytest_runtest_logreport(self, report):\n"
        "        if '.py' not in report.nodeid: report.outcome = 'failed'"
    ),
    "xfail mark": (
        "def pytest_collection_modifyitems(self, items):\n        for item in items:\n"
        "            if item.path.suffix != '.py': item.add_marker(pytest.mark.xfail)"
    ),
    "deselects steps": (
        "def pytest_collection_modifyitems(self, items):\n"
        "        items[:] = [item for item in items if item.path.suffix == '.py']"
    ),
    "code 0": "def pytest_sessionfinish(self, session):\n        session.exitstatus = 0",
}
SPOILS: Final = {
    "code 7": "def pytest_sessionfinish(self, session):\n        session.exitstatus = 7",
    "one more failed": (
        "@pytest.hookimpl(wrapper=True)\n    def pytest_runtestloop(self, session):\n"
        "        result = yield\n        session.testsfailed += 1\n        return result"
    ),
}
"""Hooks that give a session with ordinary tests an exit code other than 0."""
OPTIONS: Final = ("--maxfail=1", "--stepwise", "--runxfail", "-q", "-rA", "--durations=1", "--setup-show")


@dataclass(frozen=True)
class Case:
    runs: tuple[str, ...]
    tests: tuple[str, ...]
    hooks: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """True if the exit code must be 0."""
        is_spoilt = bool(self.tests) and not SPOILS.keys().isdisjoint(self.hooks)
        return "bad" not in self.runs and "test_bad.py" not in self.tests and not is_spoilt


CASES: Final = st.builds(
    Case,
    runs=st.lists(st.sampled_from(["good", "bad"]), min_size=1, max_size=2, unique=True).map(tuple),
    tests=st.lists(st.sampled_from(["test_good.py", "test_bad.py"]), max_size=2, unique=True).map(tuple),
    hooks=st.lists(st.sampled_from([*HOOKS, *SPOILS]), max_size=3, unique=True).map(tuple),
    options=st.lists(st.sampled_from(OPTIONS), max_size=2, unique=True).map(tuple),
)


def prepare(project: GumpProject) -> None:
    """Write the workflows and tests that cases choose from."""
    for name, command in {"good": "true", "bad": "false"}.items():
        project.workflow(name, f"name: {name}\nsteps:\n  - {{name: check, gate: ['bash: {command}']}}\n")
        project.write({f"test_{name}.py": f"def test_{name}():\n    assert {name == 'good'}\n"})
    project.write({".gitignore": "__pycache__/\n.pytest_cache/\nconftest.py\n"})
    project.commit()


def check(project: GumpProject, case: Case) -> None:
    """Run the session of a case. Check its exit code and the status of each run."""
    classes = [f"class Hooks{n}:\n    {(HOOKS | SPOILS)[name]}\n" for n, name in enumerate(case.hooks)]
    registers = [f"    config.pluginmanager.register(Hooks{number}())\n" for number in range(len(case.hooks))]
    configure = f"def pytest_configure(config):\n    pass\n{''.join(registers)}"
    project.write({"conftest.py": "import pytest\n\n" + "\n".join([*classes, configure])})
    known = {folder.run_id for folder in project.folders()}
    named = [f"--gump-workflow={name}" for name in case.runs]
    words = ["-p", "no:xdist", "--gump-no-preflight", *named, *case.options, "spec.md", *case.tests]
    result = project.pytester.runpytest_inprocess(*words)
    assert (result.ret == 0) == case.is_good, (case, result.ret)
    assert "INTERNALERROR" not in result.stdout.str()
    made = [folder for folder in project.folders() if folder.run_id not in known]
    if case.is_good:
        assert len(made) == len(case.runs)
