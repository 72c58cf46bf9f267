"""What a step may run, before a CLI comes into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.shell.permissions import NO_SHELL, READING, parts, permissions, usual_names

PYTEST = ("pytest", "python -m pytest", "python3 -m pytest")
OF_PYTEST = ("python -m pytest", *PYTEST)
MODES = ("plan", "artifact", "review", "gate", "merge")


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("/opt/v/bin/python -m pytest", ["/opt/v/bin/python -m pytest", "pytest", "python -m pytest", "python3 -m pytest"]),
        ("'/my v/bin/python3.12' -m ruff check .", ["'/my v/bin/python3.12' -m ruff", "ruff", "python -m ruff", "python3 -m ruff"]),
        ("pytest -q", ["pytest", "pytest", "python -m pytest", "python3 -m pytest"]),
        ("cd pkg && python -m pytest", ["python -m pytest", "pytest", "python -m pytest", "python3 -m pytest"]),
        ("python -m unittest", ["python -m unittest", "python -m unittest", "python3 -m unittest"]),
        ("python manage.py test", ["python manage.py test", "python manage.py test", "python3 manage.py test"]),
        ("npm run test", ["npm run test", "npm test"]),
        ("npm run lint -- --fix", ["npm run lint"]),
        ("npx --no-install tsc --noEmit", ["npx --no-install tsc"]),
        ("go test -coverprofile=c.out ./... && go tool cover -func=c.out", ["go test"]),
        ("cargo nextest run", ["cargo nextest run"]),
        ("bundle exec rspec", ["bundle exec rspec"]),
        ("python3.11 -W error -m unittest", ["python3.11 -W error -m unittest", "python -m unittest", "python3 -m unittest"]),
        ("python -m coverage run -m pytest", ["python -m coverage run -m pytest", *OF_PYTEST]),
        ("coverage run --source=. -m pytest && coverage report", ["coverage run --source=. -m pytest", *OF_PYTEST]),
        ("uv run --with x pytest", [
            "uv run --with x pytest", "uv run --with x pytest", "uv run --with x python -m pytest", "uv run --with x python3 -m pytest",
            "uv run pytest", "uv run pytest", "uv run python -m pytest", "uv run python3 -m pytest", "pytest", *PYTEST,
        ]),
        ("poetry run npx vitest", ["poetry run npx vitest", "npx vitest"]),
        *((form, ["pytest", *PYTEST]) for form in (
            "timeout 60 pytest", "PYTHONPATH=src A='b c' pytest -q", "env A=1 pytest", "pytest -k 'a;b && c' | tee log", "(cd sub && pytest)",
            "bash -c 'pytest -q'", "bash -euo pipefail -c 'cd a; pytest'", "pytest -q 2>&1 | tail -3", "time pytest &",
        )),
        ("npx -y vitest run", ["npx -y vitest"]),
        ("npm run --silent test", ["npm run --silent test"]),
        ("npm --prefix web test", ["npm --prefix web test"]),
        ("pnpm lint", ["pnpm lint"]),
        ("pnpm --filter web test:unit -- -x", ["pnpm --filter web test:unit"]),
        ("yarn lint", ["yarn lint"]),
        ("yarn workspace web test", ["yarn workspace web test"]),
        ("cargo +nightly clippy -- -D warnings", ["cargo +nightly clippy"]),
        ("go -C sub test ./...", ["go -C sub test"]),
        ("./vendor/bin/phpunit", ["./vendor/bin/phpunit"]),
        ("./manage.py test", ["./manage.py test"]),
    ],
)  # fmt: skip
def test_a_gate_tool_may_run_by_its_usual_names(command: str, names: list[str]) -> None:
    assert list(usual_names(command)) == names


@pytest.mark.parametrize(
    "command",
    [
        *(
            "make test",
            "mvn -B test",
            "./gradlew test",
            "rake test",
            "tox -e py",
            "bundle exec rake test",
            "npm publish",
        ),
        *("python -c 'x'", "python script.py", "python -m http.server", "python -m coverage report", "coverage erase"),
        *(
            "pnpm publish",
            "yarn publish",
            "yarn add x",
            "pnpm dlx x",
            "uv run x.py",
            "uv run python -c x",
            "npx -y",
            "env",
        ),
        *(
            "make -C sub test",
            "timeout 60 make",
            "bash -c 'make test'",
            "bash run.sh",
            "python -m",
            "uv run",
            "nox -s tests",
        ),
        *("npm", "npm run", "npm run --silent", "sh copy.sh", "go run x.go", "cargo run", "cargo publish"),
        *("echo 'unfinished", "", " && ", "/opt/python -I /opt/bytecompile.py"),
    ],
)
def test_a_command_whose_arguments_choose_what_it_does_runs_only_as_it_is_written(command: str) -> None:
    assert list(usual_names(command)) == []


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("make", ["make"]),
        ("cd sub && a 'x;y' || b \"c|d\" ; e", ["cd sub", "a 'x;y'", 'b "c|d"', "e"]),
        ("a 2>&1 | b &> f & c >| g\nd i \\; j", ["a 2>&1", "b &> f", "c >| g", "d i \\; j"]),
        ("a 'open; b", ["a 'open", "b"]),
        (" ; ", []),
    ],
)
def test_a_line_has_parts(command: str, found: list[str]) -> None:
    assert list(parts(command)) == found


def test_the_parts_of_a_command_may_run_too() -> None:
    may = permissions("diff", ["make", "cd sub && make 'a b'"])
    assert may.exact_parts == ("make", "cd sub && make 'a b'", "cd sub", "make 'a b'")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sandboxed", [False, True])
def test_a_step_that_only_reads_runs_nothing(mode: str, *, sandboxed: bool) -> None:
    assert permissions(mode, ["pytest"], allowed=["make *"], sandboxed=sandboxed) == NO_SHELL


def test_a_step_that_writes_has_tools_commands_reading_and_files() -> None:
    may = permissions("diff", ["/v/bin/python -m pytest", "make lint"], allowed=["make docs", "just *", ""])
    assert may.writes
    assert not may.everything
    assert may.exact == ("/v/bin/python -m pytest", "make lint", "make docs")
    assert may.tools == ("/v/bin/python -m pytest", "pytest", "python -m pytest", "python3 -m pytest", "just")
    assert may.reading == READING
    assert set(may.files) == {"cp", "mkdir", "mv", "rm", "touch"}


def test_everything_runs_in_a_sandbox() -> None:
    assert permissions("diff", [], sandboxed=True).everything


@pytest.mark.parametrize(
    "program", ["sed", "find", "rg", "sort", "git", "git diff", "git log", "git show", "xargs", "tee", "env"]
)
def test_no_rule_for_a_beginning_lets_a_program_with_options_that_write_through(program: str) -> None:
    may = permissions("diff", ["pytest"])
    assert program not in {*may.tools, *may.reading, *may.files}


@given(st.text(), st.lists(st.text(), max_size=3))
def test_any_text_of_a_gate_is_read(command: str, allowed: list[str]) -> None:
    may = permissions("diff", [command], allowed=allowed)
    assert all(name.strip() == name != "" for name in (*may.tools, *may.exact))
