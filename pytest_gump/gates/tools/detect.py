"""Detects the commands that compile, test, lint and measure a project from its marker files."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

TEST_PATTERNS: Final = (
    "test/", "tests/", "__tests__/", "spec/*.rb", "spec/**/*.rb",
    "test_*.py", "*_test.py", "tests.py", "conftest.py",
    "*_test.go", "*_test.rs", "tests.rs",
    "*.test.js", "*.test.jsx", "*.test.ts", "*.test.tsx", "*.test.[cm]js", "*.test.[cm]ts",
    "*.spec.js", "*.spec.jsx", "*.spec.ts", "*.spec.tsx", "*.spec.[cm]js", "*.spec.[cm]ts",
    "*Test.java", "*Tests.java", "*IT.java", "*Test.kt", "*Tests.kt", "*Test.groovy", "*Spec.groovy",
    "*Test.scala", "*Spec.scala", "*Test.cs", "*Tests.cs", "*Tests.swift", "*Test.php",
    "*_test.rb", "test_*.rb", "*_spec.rb", "*_test.exs", "*_test.dart", "*.bats",
    "*_test.c", "*_test.cc", "*_test.cpp", "test_*.c", "test_*.cc", "test_*.cpp",
)  # fmt: skip
"""Patterns of `@tests`: the test files of all known languages, gitignore-style."""

GATE_CONFIG: Final = (
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "noxfile.py", "setup.cfg",
    "pyproject.toml", ".coveragerc", "ruff.toml", ".ruff.toml", "mypy.ini", ".mypy.ini", ".flake8", ".pylintrc",
    "coverage.toml", ".coveragerc.toml", "setup.py", "hatch.toml", "uv.toml", "pip.conf", ".python-version",
    "sitecustomize.py", "usercustomize.py", "*.pth", "*.egg-info/", "*.dist-info/", "entry_points.txt", "pyvenv.cfg",
    "__pycache__/", "*.pyc", "*.pyo", ".gitattributes", ".gitignore",
    "Makefile", "makefile", "GNUmakefile", "*.mk", "justfile", "Taskfile.yml", "gump.toml",
    "package.json", "tsconfig*.json", "jest.config.*", "vitest.config.*", "babel.config.*", ".babelrc", ".mocharc.*",
    ".nycrc*", "ava.config.*", "vite.config.*", "playwright.config.*", "cypress.config.*", "karma.conf.*",
    "eslint.config.*", ".eslintrc*", ".npmrc", ".yarnrc*", "bunfig.toml",
    "Cargo.toml", "build.rs", ".cargo/", "rust-toolchain*", ".config/nextest.toml", "clippy.toml", ".clippy.toml",
    ".golangci.*",
    "pom.xml", "build.gradle*", "settings.gradle*", "gradle.properties", "mvnw", "gradlew", ".mvn/", "gradle/",
    "*.runsettings", "phpunit.xml*",
    "Gemfile", "Rakefile", ".rspec", ".rubocop.yml", ".simplecov",
    ".github/", ".gitlab-ci.yml", ".circleci/", ".travis.yml", "azure-pipelines.yml", "Jenkinsfile",
    ".pre-commit-config.yaml",
)  # fmt: skip
"""Patterns of `@gate-config`: files that gates read. They may change; the report then lists them."""

LOCK_FILES: Final = (
    "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "deno.lock",
    "uv.lock", "poetry.lock", "pdm.lock", "pylock*.toml", "Pipfile.lock", "requirements*.txt", "constraints*.txt",
    "conda-lock.yml", "pixi.lock", "Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "mix.lock", "pubspec.lock",
    "gradle.lockfile", "packages.lock.json", "Package.resolved", "Podfile.lock", "flake.lock",
)  # fmt: skip
"""Names of files that list the dependencies to install, in any folder."""

Commands = dict[str, str]
BYTECOMPILE: Final = Path(__file__).with_name("bytecompile.py")


class Project(NamedTuple):
    """The tracked files of a project, as far as detection needs them."""

    files: Collection[str]
    read: Callable[[str], bytes | None]
    python: str
    """The interpreter that runs the session."""
    installed: Callable[[str], bool]
    """Returns True if that interpreter can import a module."""

    def first(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if name in self.files), None)

    def text(self, name: str) -> str:
        return (self.read(name) or b"").decode("utf-8", "replace") if name in self.files else ""

    @property
    def tools(self) -> dict[str, Any]:
        """The tables `[tool.NAME]` of pyproject.toml."""
        return tool_tables(self.text("pyproject.toml"))


def tool_tables(pyproject: str) -> dict[str, Any]:
    try:
        tables = tomllib.loads(pyproject).get("tool")
    except (ValueError, RecursionError):  # a plain ValueError: an integer of over 4,300 digits
        return {}
    return tables if isinstance(tables, dict) else {}


def _named(commands: Mapping[str, Sequence[str]], known: Collection[str], run: str) -> Commands:
    """Return, for each gate, `run` with the first of its names that is known."""
    found = {kind: next((name for name in names if name in known), None) for kind, names in commands.items()}
    return {kind: f"{run} {name}" for kind, name in found.items() if name}


def detect(
    files: Collection[str],
    read: Callable[[str], bytes | None],
    python: str,
    *,
    installed: Callable[[str], bool] = lambda module: importlib.util.find_spec(module) is not None,
) -> Commands:
    """Return the commands `compile`, `test`, `lint` and `coverage`; a missing key means that none was found.

    Languages are tried in the order of `LANGUAGES`; each adds the commands that are still missing. Python files without
    a marker file make a Python project only if nothing else was found. `make` comes last: in a Python project with a
    Makefile, `test` is pytest under the session's interpreter, and a `lint` target counts only if no linter is
    configured.

    Args:
        files: Tracked files, `/`-separated, relative to the root.
        read: Returns the content of a tracked file.
        python: The interpreter that runs the session.
        installed: Returns True if that interpreter can import a module.
    """
    project = Project(frozenset(files), read, python, installed)
    found: Commands = {}
    for language in LANGUAGES:
        found = language(project) | found
    if not found and any(name.endswith(".py") for name in project.files):
        found = _python_commands(project)
    return _make(project) | found


def _go(project: Project) -> Commands:
    if not project.first(("go.mod", "go.work")):
        return {}
    linter = project.first((".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"))
    return {
        "compile": "go build ./...",
        "test": "go test ./...",
        "lint": "golangci-lint run" if linter else "go vet ./...",
        "coverage": "go test -coverprofile=coverage.out ./... && go tool cover -func=coverage.out",
    }


_NODE_RUNNERS: Final = (
    ("pnpm-lock.yaml", "pnpm run", "pnpm exec"),
    ("yarn.lock", "yarn run", "yarn run"),
    ("bun.lock", "bun run", "bun x --no-install"),
    ("bun.lockb", "bun run", "bun x --no-install"),
    ("", "npm run", "npx --no-install"),
)
_NODE_SCRIPTS: Final = {
    "compile": ("build", "compile", "typecheck", "type-check"),
    "test": ("test",),
    "lint": ("lint",),
    "coverage": ("coverage", "test:coverage", "test:cov"),
}


def _node(project: Project) -> Commands:
    if "package.json" not in project.files:
        return {}
    run, execute = next((run, execute) for lock, run, execute in _NODE_RUNNERS if not lock or lock in project.files)
    scripts = _node_scripts(project.text("package.json"))
    commands = _named(_NODE_SCRIPTS, scripts, run)
    if "tsconfig.json" in project.files:
        commands.setdefault("compile", f"{execute} tsc --noEmit")
    if "test" in scripts and re.search(r"\b(jest|vitest)\b", scripts["test"]):
        separator = "-- " if run == "npm run" else ""
        commands.setdefault("coverage", f"{run} test {separator}--coverage")
    return commands


def _node_scripts(text: str) -> dict[str, str]:
    try:
        package = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    scripts = package.get("scripts") if isinstance(package, dict) else None
    if not isinstance(scripts, dict):
        return {}
    return {
        name: script
        for name, script in scripts.items()
        if isinstance(script, str) and script.strip() and "no test specified" not in script
    }


def _rust(project: Project) -> Commands:
    if "Cargo.toml" not in project.files:
        return {}
    return {
        "compile": "cargo build",
        "test": "cargo test",
        "lint": "cargo clippy",
        "coverage": "cargo llvm-cov --summary-only",
    }


def _java(project: Project) -> Commands:
    if "pom.xml" in project.files:
        maven = "./mvnw" if "mvnw" in project.files else "mvn"
        return {"compile": f"{maven} -B -q compile", "test": f"{maven} -B test"}
    if project.first(("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")):
        gradle = "./gradlew" if "gradlew" in project.files else "gradle"
        return {"compile": f"{gradle} --console=plain classes", "test": f"{gradle} --console=plain test"}
    return {}


def _ruby(project: Project) -> Commands:
    if not project.first(("Gemfile", "Rakefile")):
        return {}
    bundle = "bundle exec " if "Gemfile" in project.files else ""
    commands = {"compile": "find . -name '*.rb' -not -path './vendor/*' -print0 | xargs -0 -n1 ruby -c"}
    if ".rspec" in project.files or any(name.startswith("spec/") and name.endswith(".rb") for name in project.files):
        commands["test"] = f"{bundle}rspec"
    elif "Rakefile" in project.files:
        commands["test"] = f"{bundle}rake test"
    if ".rubocop.yml" in project.files:
        commands["lint"] = f"{bundle}rubocop"
    return commands


PYTHON_MARKERS: Final = (
    "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "tox.ini", "noxfile.py",
    "pytest.ini", ".pytest.ini", "pytest.toml", "conftest.py",
)  # fmt: skip


def _python(project: Project) -> Commands:
    return _python_commands(project) if project.first(PYTHON_MARKERS) else {}


def _python_commands(project: Project) -> Commands:
    python = shlex.quote(project.python)
    commands = {"compile": f"{python} -I {shlex.quote(str(BYTECOMPILE))}"}
    if "manage.py" in project.files and not _has_pytest_settings(project):
        commands["test"] = f"{python} manage.py test"
        commands["coverage"] = _coverage_run(project, python, "manage.py test")
    else:
        commands["test"] = f"{python} -m pytest"
        commands["coverage"] = _pytest_coverage(project, python)
    if project.first(("ruff.toml", ".ruff.toml")) or "ruff" in project.tools:
        commands["lint"] = f"{python} -m ruff check ."
    return commands


def _has_pytest_settings(project: Project) -> bool:
    return bool(
        project.first(("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "conftest.py"))
        or "pytest" in project.tools
        or "[tool:pytest]" in project.text("setup.cfg")
        or "[pytest]" in project.text("tox.ini")
    )


def _pytest_coverage(project: Project, python: str) -> str:
    if project.installed("pytest_cov"):
        return f"{python} -m pytest --cov --cov-report=term"
    return _coverage_run(project, python, "-m pytest")


def _coverage_run(project: Project, python: str, program: str) -> str:
    """Return a command for coverage.py itself. It also counts files that no test imports, unless configured."""
    settings = "".join(map(project.text, (".coveragerc", "pyproject.toml", "setup.cfg", "tox.ini")))
    configured = ".coveragerc" in project.files or re.search(r"^\[(tool\.coverage|coverage:)", settings, re.MULTILINE)
    source = "" if configured else "--source=. "
    parallel = re.search(r"^parallel\s*=\s*[Tt]rue", settings, re.MULTILINE)
    combine = f"{python} -m coverage combine -q && " if configured and parallel else ""
    return f"{python} -m coverage run {source}{program} && {combine}{python} -m coverage report"


_MAKEFILES: Final = ("GNUmakefile", "makefile", "Makefile")
_MAKE_TARGETS: Final = {
    "compile": ("build", "compile"),
    "test": ("test", "check"),
    "lint": ("lint",),
    "coverage": ("coverage",),
}


def _make(project: Project) -> Commands:
    makefile = project.first(_MAKEFILES)
    if makefile is None:
        return {}
    rules = re.findall(r"^([A-Za-z0-9_.\- \t]+)::?(?!=)", project.text(makefile), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    return _named(_MAKE_TARGETS, targets, "make")


LANGUAGES: Final = (_go, _node, _rust, _java, _ruby, _python)
"""In the order in which they are tried; the first command for a gate wins."""
