from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from pytest_gump.gates.patterns import matches
from pytest_gump.gates.tools.detect import BYTECOMPILE, detect

if TYPE_CHECKING:
    from collections.abc import Mapping

PY = "/usr/bin/python3"
COMPILE = f"{PY} -I {BYTECOMPILE}"


def found(files: Mapping[str, str], *, python: str = PY, installed: tuple[str, ...] = ("coverage",)) -> dict[str, str]:
    return detect(files, lambda name: files[name].encode(), python, installed=lambda module: module in installed)


@pytest.mark.parametrize(
    ("files", "kind", "command"),
    [
        ({"go.mod": ""}, "compile", "go build ./..."),
        ({"go.mod": ""}, "test", "go test ./..."),
        ({"go.mod": ""}, "lint", "go vet ./..."),
        ({"go.mod": "", ".golangci.yml": ""}, "lint", "golangci-lint run"),
        ({"Cargo.toml": ""}, "compile", "cargo build"),
        ({"Cargo.toml": ""}, "test", "cargo test"),
        ({"Cargo.toml": ""}, "lint", "cargo clippy"),
        ({"pom.xml": ""}, "test", "mvn -B test"),
        ({"pom.xml": "", "mvnw": ""}, "compile", "./mvnw -B -q compile"),
        ({"build.gradle.kts": ""}, "test", "gradle --console=plain test"),
        ({"build.gradle": "", "gradlew": ""}, "compile", "./gradlew --console=plain classes"),
        ({"Gemfile": "", ".rspec": ""}, "test", "bundle exec rspec"),
        ({"Gemfile": "", "spec/a_spec.rb": ""}, "test", "bundle exec rspec"),
        ({"Rakefile": ""}, "test", "rake test"),
        ({"Gemfile": "", ".rubocop.yml": ""}, "lint", "bundle exec rubocop"),
        ({"Makefile": "all:\n\nbuild test: all\n\tcc x.c\n"}, "compile", "make build"),
        ({"Makefile": "all:\n\nbuild test: all\n\tcc x.c\n"}, "test", "make test"),
        ({"Makefile": "lint := ruff\n"}, "lint", None),
        ({"pyproject.toml": ""}, "compile", COMPILE),
        ({"setup.py": ""}, "test", f"{PY} -m pytest"),
        ({"tool.py": ""}, "test", f"{PY} -m pytest"),
        ({"pyproject.toml": ""}, "lint", None),
        ({"pyproject.toml": "[tool.ruff.lint]\n"}, "lint", f"{PY} -m ruff check ."),
        ({"setup.py": "", "ruff.toml": ""}, "lint", f"{PY} -m ruff check ."),
        ({"pyproject.toml": "not [ toml"}, "test", f"{PY} -m pytest"),
        ({"requirements.txt": "", "manage.py": ""}, "test", f"{PY} manage.py test"),
        ({"requirements.txt": "", "manage.py": "", "pytest.ini": ""}, "test", f"{PY} -m pytest"),
        ({"README.md": ""}, "test", None),
    ],
)
def test_a_marker_file_selects_the_commands(files: dict[str, str], kind: str, command: str | None) -> None:
    assert found(files).get(kind) == command


@pytest.mark.parametrize(
    ("lock", "run"),
    [
        ("package-lock.json", "npm run"),
        ("pnpm-lock.yaml", "pnpm run"),
        ("yarn.lock", "yarn run"),
        ("bun.lockb", "bun run"),
        ("bun.lock", "bun run"),
    ],
)
def test_the_lock_file_selects_the_package_manager(lock: str, run: str) -> None:
    scripts = '{"scripts": {"build": "tsc", "test": "node --test", "lint": "eslint ."}}'
    commands = found({"package.json": scripts, lock: ""})
    assert commands == {"compile": f"{run} build", "test": f"{run} test", "lint": f"{run} lint"}


def test_only_existing_scripts_become_commands() -> None:
    npm_init = '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1", "lint": 3}}'
    assert found({"package.json": npm_init}) == {}
    assert found({"package.json": '{"scripts": []}'}) == {}
    assert found({"package.json": "["}) == {}


def test_typescript_without_a_build_script_is_type_checked() -> None:
    commands = found({"package.json": "{}", "tsconfig.json": "{}"})
    assert commands == {"compile": "npx --no-install tsc --noEmit"}


def test_jest_measures_coverage_through_the_test_script() -> None:
    commands = found({"package.json": '{"scripts": {"test": "jest"}}'})
    assert commands["coverage"] == "npm run test -- --coverage"


def test_pytest_overrides_the_makefile_which_adds_missing_commands() -> None:
    commands = found({"pyproject.toml": "", "Makefile": "test:\n\tpip install .\nlint:\n\tflake8\n"})
    assert commands["test"] == f"{PY} -m pytest"
    assert commands["lint"] == "make lint"


def test_a_python_script_in_a_go_project_does_not_make_it_python() -> None:
    commands = found({"go.mod": "", "tools/gen.py": ""})
    assert commands["test"] == "go test ./..."
    assert PY not in " ".join(commands.values())


def test_the_interpreter_is_quoted_for_the_shell() -> None:
    commands = found({"setup.py": ""}, python="/opt/my python/bin/python")
    assert commands["test"] == "'/opt/my python/bin/python' -m pytest"


def test_coverage_uses_pytest_cov_if_it_is_installed() -> None:
    assert found({"setup.py": ""}, installed=("pytest_cov",))["coverage"] == f"{PY} -m pytest --cov --cov-report=term"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"setup.py": ""}, f"{PY} -m coverage run --source=. -m pytest && {PY} -m coverage report"),
        (
            {"pyproject.toml": "[tool.coverage.run]\nsource = ['x']\n"},
            f"{PY} -m coverage run -m pytest && {PY} -m coverage report",
        ),
        (
            {"setup.py": "", ".coveragerc": "[run]\nparallel = true\n"},
            f"{PY} -m coverage run -m pytest && {PY} -m coverage combine -q && {PY} -m coverage report",
        ),
    ],
)
def test_coverage_follows_the_settings_of_the_project(files: dict[str, str], command: str) -> None:
    assert found(files)["coverage"] == command


def test_pytest_cov_is_looked_up_in_the_running_interpreter_by_default() -> None:
    commands = detect(["setup.py"], lambda _: b"", sys.executable)
    assert set(commands) == {"compile", "test", "coverage"}


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py", "pkg/a_test.py", "tests/data/x.json", "pkg/tests/a.py", "conftest.py", "a/b_test.go", "web/x.test.ts",
        "web/x.spec.tsx", "x.test.mjs", "web/__tests__/x.js", "tests/it.rs", "src/foo_test.rs", "src/test/java/ATest.java",
        "app/AIT.java", "src/test/kotlin/A.kt", "spec/models/a_spec.rb", "spec/spec_helper.rb", "test/a_test.exs", "x.bats",
    ],
)  # fmt: skip
def test_test_files_of_all_languages_are_found(path: str) -> None:
    assert matches(["@tests"], [path]) == [path]


@pytest.mark.parametrize(
    "path", ["src/a.py", "contest.py", "latest/a.go", "spec.md", "src/testing.rs", "attest.ts", "spec/a.md"]
)
def test_other_files_are_not_test_files(path: str) -> None:
    assert matches(["@tests"], [path]) == []
