"""Machines that are set up in unusual ways: sessions in processes of their own."""

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
"""How many lines a reader takes, and options of the session that prints them."""
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    return prepare(gump_project)


def ours(done: subprocess.CompletedProcess[str]) -> str:
    """What was printed, for the search after tracebacks."""
    return done.stdout + done.stderr


# Each of these four sessions is in another time zone, on which nothing depends either.


def test_without_home_the_account_says_where_the_cache_is(project: GumpProject) -> None:
    check_session(project, session(project, env={"HOME": None, "TZ": "Pacific/Kiritimati"}))
    check_times(project)


def test_a_home_that_does_not_exist_is_no_obstacle(project: GumpProject) -> None:
    check_session(project, session(project, env={"HOME": "/nonexistent/home", "TZ": "America/St_Johns"}))
    check_times(project)


def test_without_any_cache_variable_worktrees_are_in_the_home(project: GumpProject) -> None:
    home = project.path.parent / f"{project.path.name}-home"
    home.mkdir()
    check_session(project, session(project, env={"XDG_CACHE_HOME": None, "HOME": str(home), "TZ": "UTC+12"}))
    assert (home / ".cache" / "gump" / "worktrees").is_dir()
    check_times(project)


def test_a_strict_umask_hinders_nothing(project: GumpProject) -> None:
    done = session(project, env={"TZ": "No/Such"}, shell='umask 077; exec "$@"')
    check_session(project, done)
    assert project.git("ls-tree", project.record().head, "new.py").startswith("100644")
    check_times(project)


def check_times(project: GumpProject) -> None:
    """Hold that times are those of UTC."""
    header = project.folders()[0].read_header()
    assert header["created"].endswith("+00:00")
    assert header["created"][:10].replace("-", "") == project.folders()[0].run_id[:8]


def test_a_locale_without_letters_gets_ascii_marks(project: GumpProject) -> None:
    done = session(project, env=ASCII)
    check_session(project, done)
    assert "+ impl" in done.stdout
    assert done.stdout.isascii()


def test_a_locale_without_letters_takes_names_with_letters(project: GumpProject) -> None:
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


def test_where_no_name_has_letters_what_agents_write_still_may(project: GumpProject) -> None:
    project.answer(
        "impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n", "schön/ö.py": "y = 1\n"}, says="Schön."
    )
    done = session(project, "-vv", "--junitxml=out.xml", env=ASCII)
    check_session(project, done)
    assert done.stdout.isascii()
    assert "schön/ö.py" in files(project, project.record().head)
    for words in (["report"], ["log", "impl"], ["diff"], ["status"], ["apply"]):
        told = subprocess.run(
            [sys.executable, "-m", "pytest_gump", *words], env={**os.environ, **ASCII}, capture_output=True, check=False
        )
        assert told.returncode == 0, (words, told.stderr)
        assert told.stdout.isascii()
    assert (project.path / "schön" / "ö.py").exists()


@pytest.mark.parametrize(
    ("name", "env"), [(os.fsdecode(b"no\xfftext.md"), {}), ("ünï.md", ASCII)], ids=["not UTF-8", "not ASCII"]
)
def test_a_spec_whose_name_is_no_text_is_told_before_anything_starts(
    project: GumpProject, name: str, env: dict[str, str]
) -> None:
    (project.path / name).write_text("# Odd\n", encoding="utf-8")
    done = session(project, spec=name, env=env)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, ours(done)
    assert "is not valid text in this locale" in done.stderr
    assert "Traceback" not in ours(done)
    assert project.folders() == []


def files(project: GumpProject, ref: str) -> list[str]:
    return project.git("ls-tree", "-r", "-z", "--name-only", ref).split("\0")


@pytest.mark.parametrize("closed", ["<&-", "</dev/null", "2>/dev/full", "3>&- 4>&-"])
def test_a_missing_stream_is_not_mistaken_for_a_file(project: GumpProject, closed: str) -> None:
    check_session(project, session(project, shell=f'exec "$@" {closed}'))


@pytest.mark.parametrize(("lines", "options"), LEAVERS)
def test_a_reader_that_leaves_early_ends_the_run_cleanly(
    project: GumpProject, lines: int, options: tuple[str, ...]
) -> None:
    done = session(project, *options, shell=f'"$@" | head -n {lines}; echo "exit ${{PIPESTATUS[0]}}"')
    assert "Traceback" not in ours(done)
    assert "INTERNALERROR" not in ours(done)
    assert "BrokenPipe" not in ours(done)
    for folder in project.folders():
        events = [json.loads(line) for line in folder.ledger.read_bytes().splitlines()]
        assert events[-1]["event"] == "run_finished"
    assert not list((project.path.parent / f"{project.path.name}-cache").rglob("*.scratch"))


def test_a_reader_that_leaves_while_an_agent_works_loses_no_work(project: GumpProject) -> None:
    project.answer("impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n"}, pauses_s=[0.5])
    done = session(project, "--gump-replay-delay=1", shell='"$@" | (read line; read line; sleep 0.2); echo')
    assert "Traceback" not in ours(done)
    record = project.record()
    assert record.status in {"passed", "cancelled"}
    if record.attempts:
        result = record.attempts[0].result
        assert result is not None
        assert result.snapshot is not None


def test_a_cache_folder_that_is_a_file_is_told_or_left_aside(project: GumpProject) -> None:
    place = project.path.parent / f"{project.path.name}-file"
    place.write_text("", encoding="utf-8")
    done = session(project, env={"XDG_CACHE_HOME": str(place)})
    check_session(project, done)
    assert project.git("status", "--porcelain") == ""


def test_a_gump_folder_that_is_a_file_is_told_before_anything_starts(gump_project: GumpProject) -> None:
    gump_project.write({".gump": "not a folder\n"})
    gump_project.commit()
    done = session(gump_project, "--gump-workflow=freeform")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in ours(done)


def test_a_runs_folder_that_is_a_file_is_told_before_anything_starts(project: GumpProject) -> None:
    (project.path / ".gump" / "runs").write_text("", encoding="utf-8")
    done = session(project)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, ours(done)
    assert "ERROR: cannot write " in done.stderr
    assert "Traceback" not in ours(done)
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump") == ""


def test_variables_of_git_do_not_lead_elsewhere(project: GumpProject) -> None:
    lost = {
        "GIT_DIR": "/nowhere",
        "GIT_WORK_TREE": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere/index",
        "GIT_CONFIG_COUNT": "x",
    }
    check_session(project, session(project, env=lost))
