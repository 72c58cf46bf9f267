"""Sessions that are killed with SIGKILL at an event of the ledger, and truncated ledgers: the resumed run has the same
result. `GUMP_KILL_MATRIX=all` tests every event and many more truncations.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.engine.record.ledger import read_ledger

from tests.kits import kill as kill_kit
from tests.kits.kill import check_dead, check_whole, end_of, newest, session

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

START: Final = ("--gump-workflow=side", "spec.md")
EVENTS: Final = 51
ALL: Final = os.environ.get("GUMP_KILL_MATRIX") == "all"
"""One event of each kind by default."""
CONTROLLER: Final = range(1, EVENTS + 1) if ALL else (1, 2, 10, 13, 26, 28, 51)
WORKER: Final = range(1, EVENTS + 1) if ALL else (9,)
WITH_WORKERS: Final = (
    [*itertools.product(("controller", "group"), range(1, EVENTS + 1))] if ALL else [("controller", 7), ("group", 31)]
)
TAIL: Final = 4096


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, kill_kit.End]:
    """Return a cache for the result of an undisturbed run. The first test that needs the result fills the cache."""
    assert tmp_path_factory is not None
    return {}


def ended(project: GumpProject, known: dict[str, kill_kit.End]) -> kill_kit.End:
    if "end" not in known:
        assert session(project, "-n0", *START).returncode == 0
        known["end"] = end_of(project)
        assert len(project.ledger()) == EVENTS
        shutil.rmtree(project.folders()[0].path)
        (project.path.parent / f"{project.path.name}-agents.log").write_text("")
    return known["end"]


def resume_until_done(project: GumpProject, *words: str) -> None:
    done = session(project, "--gump-resume", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("event", CONTROLLER)
def test_a_run_resumes_after_its_controller_was_killed(
    project: GumpProject, undisturbed: dict[str, kill_kit.End], event: int
) -> None:
    kill_kit.prepare(project)
    end = ended(project, undisturbed)
    killed = session(project, "-n0", *START, kill_at=f"controller:{event}")
    assert killed.returncode == -9
    check_dead(project)
    if newest(project).status != "passed":
        resume_until_done(project, "-n0")
    check_whole(project, end, repeats=1)


@pytest.mark.parametrize(("what", "event"), WITH_WORKERS)
def test_a_run_resumes_after_its_session_and_workers_were_killed(
    project: GumpProject, undisturbed: dict[str, kill_kit.End], what: str, event: int
) -> None:
    kill_kit.prepare(project)
    end = ended(project, undisturbed)
    killed = session(project, "-n2", *START, kill_at=f"{what}:{event}")
    assert killed.returncode == -9
    check_dead(project)
    if newest(project).status != "passed":
        resume_until_done(project, "-n2")
    check_whole(project, end, repeats=2)


@pytest.mark.parametrize("event", WORKER)
def test_a_killed_worker_does_not_change_the_result(
    project: GumpProject, undisturbed: dict[str, kill_kit.End], event: int
) -> None:
    kill_kit.prepare(project, pause=0.2)
    end = ended(project, undisturbed)
    done = session(project, "-n2", *START, kill_at=f"worker:{event}")
    if done.returncode != 0:
        check_dead(project)
        resume_until_done(project, "-n2")
    check_whole(project, end, repeats=1)


def cuts(ledger: bytes) -> list[int]:
    """Return where to truncate the ledger: after its last lines, and inside of them.

    By default, truncate after an event of each kind that an attempt has, and once inside of a line.
    """
    start = max(0, len(ledger) - TAIL)
    behind = [place + 1 for place, byte in enumerate(ledger) if byte == 0x0A and place >= start][:-1]
    if ALL:
        return sorted({*behind, *range(start, len(ledger), 61)})
    return sorted({*behind[-4:-1], behind[-1] + 20})


def test_a_run_with_a_truncated_ledger_resumes(project: GumpProject, undisturbed: dict[str, kill_kit.End]) -> None:
    kill_kit.prepare(project)
    end = ended(project, undisturbed)
    assert session(project, "-n0", *START).returncode == 0
    ledger = project.folders()[0].ledger
    whole, kept = ledger.read_bytes(), project.path.parent / "kept"
    shutil.copytree(project.path, kept, symlinks=True)
    for place in cuts(whole):
        shutil.rmtree(project.path)
        shutil.copytree(kept, project.path, symlinks=True)
        ledger.write_bytes(whole[:place])
        resume_until_done(project, "-n0")
        check_whole(project, end, repeats=0)


def test_a_truncated_ledger_is_read_up_to_its_last_complete_line(project: GumpProject) -> None:
    project.answer("impl", writes={"app.py": "value = 2\n"})
    project.run("one")
    ledger = project.folders()[0].ledger
    whole, events = ledger.read_bytes(), project.ledger()
    for place in range(max(0, len(whole) - TAIL), len(whole) + 1):
        ledger.write_bytes(whole[:place])
        assert list(read_ledger(ledger)) == events[: whole[:place].count(b"\n")]


def test_time_between_two_kills_is_not_part_of_the_duration(project: GumpProject) -> None:
    kill_kit.prepare(project)
    assert session(project, "-n0", *START, kill_at="controller:3").returncode == -9
    check_dead(project)
    ledger = project.folders()[0].ledger
    events = [{**event, "at": event["at"] - 10_000} for event in project.ledger()]
    ledger.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    assert session(project, "-n0", "--gump-resume", kill_at="controller:1").returncode == -9
    assert project.ledger()[-1]["event"] == "attempt_finished"
    resume_until_done(project, "-n0")
    assert 0 < newest(project).duration_s < 5_000
