"""Sessions in processes of their own on machines with an unusual configuration."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.hardening.plain_runs import check_session, prepare, session
from tests.kits.sizes import full_size

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

LEAVERS = full_size(
    small=[(0, ()), (1, ("-s",)), (3, ("-vv",)), (7, ())],
    full=[*itertools.product((0, 1, 3, 7), ((), ("-s",), ("-vv",)))],
)
"""How many lines a reader reads before it exits, and options of the session that prints them."""
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    return prepare(gump_project)


def ours(done: subprocess.CompletedProcess[str]) -> str:
    """Return all output, to search it for tracebacks."""
    return done.stdout + done.stderr


# Each of these four sessions has another time zone, which must not matter either.


def test_without_home_the_cache_is_in_the_home_of_the_account(project: GumpProject) -> None:
    check_session(project, session(project, env={"HOME": None, "TZ": "Pacific/Kiritimati"}))
    check_times(project)


def test_a_session_runs_with_a_home_that_does_not_exist(project: GumpProject) -> None:
    check_session(project, session(project, env={"HOME": "/nonexistent/home", "TZ": "America/St_Johns"}))
    check_times(project)


def test_without_cache_variables_worktrees_are_in_the_home(project: GumpProject) -> None:
    home = project.path.parent / f"{project.path.name}-home"
    home.mkdir()
    check_session(project, session(project, env={"XDG_CACHE_HOME": None, "HOME": str(home), "TZ": "UTC+12"}))
    assert (home / ".cache" / "gump" / "worktrees").is_dir()
    check_times(project)


def test_a_session_runs_with_a_strict_umask(project: GumpProject) -> None:
    done = session(project, env={"TZ": "No/Such"}, shell='umask 077; exec "$@"')
    check_session(project, done)
    assert project.git("ls-tree", project.record().head, "new.py").startswith("100644")
    check_times(project)


def check_times(project: GumpProject) -> None:
    """Check that times are UTC."""
    header = project.folders()[0].read_header()
    assert header["created"].endswith("+00:00")
    assert header["created"][:10].replace("-", "") == project.folders()[0].run_id[:8]


def test_an_ascii_locale_gets_ascii_marks(project: GumpProject) -> None:
    done = session(project, env=ASCII)
    check_session(project, done)
    assert "+ impl" in done.stdout
    assert done.stdout.isascii()


def test_an_ascii_locale_accepts_non_ascii_names(project: GumpProject) -> None:
    project.write({"Grüße/ünï.md": "# Grüße\n"})
    project.answer(
        "impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n", "schön/ö.py": "y = 1\n"}, says="Schön."
    )
    env = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}
    done = session(project, "-vv", "--junitxml=out.xml", env=env, spec="Grüße/ünï.md")
    check_session(project, done)
    assert done.stdout.isascii()
    assert project.record().spec == "Grüße/ünï.md"
    assert "schön/ö.py" in files(project, project.record().head)


def test_agents_can_write_non_ascii_names_in_an_ascii_locale(project: GumpProject) -> None:
    project.answer(
        "impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n", "schön/ö.py": "y = 1\n"}, says="Schön."
    )
    done = session(project, "-vv", "--junitxml=out.xml", env=ASCII)
    check_session(project, done)
    assert done.stdout.isascii()
    assert "schön/ö.py" in files(project, project.record().head)
    for words in (["report"], ["log", "impl"], ["diff"], ["status"], ["apply"]):
        command = subprocess.run(
            [sys.executable, "-m", "pytest_gump", *words], env={**os.environ, **ASCII}, capture_output=True, check=False
        )
        assert command.returncode == 0, (words, command.stderr)
        assert command.stdout.isascii()
    assert (project.path / "schön" / "ö.py").exists()


@pytest.mark.parametrize(
    ("name", "env"), [(os.fsdecode(b"no\xfftext.md"), {}), ("ünï.md", ASCII)], ids=["not UTF-8", "not ASCII"]
)
def test_a_spec_whose_name_is_invalid_text_is_refused(project: GumpProject, name: str, env: dict[str, str]) -> None:
    (project.path / name).write_text("# Odd\n", encoding="utf-8")
    done = session(project, spec=name, env=env)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, ours(done)
    assert "is not valid text in this locale" in done.stderr
    assert "Traceback" not in ours(done)
    assert project.folders() == []


def files(project: GumpProject, ref: str) -> list[str]:
    return project.git("ls-tree", "-r", "-z", "--name-only", ref).split("\0")


@pytest.mark.parametrize("closed", ["<&-", "</dev/null", "2>/dev/full", "3>&- 4>&-"])
def test_a_closed_standard_stream_is_not_confused_with_a_file(project: GumpProject, closed: str) -> None:
    check_session(project, session(project, shell=f'exec "$@" {closed}'))


@pytest.mark.parametrize(("lines", "options"), LEAVERS)
def test_a_closed_output_pipe_ends_the_run_cleanly(project: GumpProject, lines: int, options: tuple[str, ...]) -> None:
    done = session(project, *options, shell=f'"$@" | head -n {lines}; echo "exit ${{PIPESTATUS[0]}}"')
    assert "Traceback" not in ours(done)
    assert "INTERNALERROR" not in ours(done)
    assert "BrokenPipe" not in ours(done)
    for folder in project.folders():
        events = [json.loads(line) for line in folder.ledger.read_bytes().splitlines()]
        assert events[-1]["event"] == "run_finished"
    assert not list((project.path.parent / f"{project.path.name}-cache").rglob("*.scratch"))


def test_a_pipe_that_is_closed_while_an_agent_works_loses_no_work(project: GumpProject) -> None:
    project.answer("impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n"}, pauses_s=[0.5])
    done = session(project, "--gump-replay-delay=1", shell='"$@" | (read line; read line; sleep 0.2); echo')
    assert "Traceback" not in ours(done)
    record = project.record()
    assert record.status in {"passed", "cancelled"}
    if record.attempts:
        result = record.attempts[0].result
        assert result is not None
        assert result.snapshot is not None


def test_a_session_runs_if_the_cache_folder_is_a_file(project: GumpProject) -> None:
    place = project.path.parent / f"{project.path.name}-file"
    place.write_text("", encoding="utf-8")
    done = session(project, env={"XDG_CACHE_HOME": str(place)})
    check_session(project, done)
    assert project.git("status", "--porcelain") == ""


def test_a_gump_folder_that_is_a_file_is_a_usage_error(gump_project: GumpProject) -> None:
    gump_project.write({".gump": "not a folder\n"})
    gump_project.commit()
    done = session(gump_project, "--gump-workflow=freeform")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in ours(done)


def test_a_runs_folder_that_is_a_file_is_a_usage_error(project: GumpProject) -> None:
    (project.path / ".gump" / "runs").write_text("", encoding="utf-8")
    done = session(project)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, ours(done)
    assert "ERROR: cannot write " in done.stderr
    assert "Traceback" not in ours(done)
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump") == ""


def test_git_variables_of_the_environment_are_ignored(project: GumpProject) -> None:
    lost = {
        "GIT_DIR": "/nowhere",
        "GIT_WORK_TREE": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere/index",
        "GIT_CONFIG_COUNT": "x",
    }
    check_session(project, session(project, env=lost))
