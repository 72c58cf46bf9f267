"""Tests with every supported version of Python and pytest.

`make test-matrix` runs all combinations, and `nox -s "tests-3.12(pytest='8.3')"` runs one.
"""

from __future__ import annotations

import nox

WHERE = [
    *(f"tests/{name}" for name in ("session", "executors", "jobs", "reporters", "engine")),
    *(f"tests/test_{name}.py" for name in ("collect", "hookspecs", "plugin")),
]
"""Tests that depend on the version of pytest or Python."""

nox.options.envdir = ".cache/nox"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("pytest", ["8.3", "9.0", "newest"])
def tests(session: nox.Session, pytest: str) -> None:
    """Run the tests with one Python and one pytest. nox reports and skips versions of Python that are not installed."""
    pinned = [] if pytest == "newest" else [f"pytest=={pytest}.*"]
    session.install("--editable", ".[dev]", *pinned)
    session.run("python", "-m", "pytest", *(session.posargs or WHERE))
