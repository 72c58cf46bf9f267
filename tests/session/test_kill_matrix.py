"""Sessions killed with SIGKILL at events of the ledger, and ledgers that lost their end: the run goes on as if nothing
had been. `GUMP_KILL_MATRIX=all` takes every event and many more bytes.
"""

from __future__ import annotations

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
EVENTS: Final = 39
ALL: Final = os.environ.get("GUMP_KILL_MATRIX") == "all"
"""The short form takes an attempt of each kind at each of its three events."""
CONTROLLER: Final = range(1, EVENTS + 1) if ALL else (1, 2, 4, 5, 10, 13, 15, 21, 27, 29, 30, 31, 38, 39)
SIDE_BY_SIDE: Final = range(1, EVENTS + 1) if ALL else (7, 12)
WORKER: Final = range(1, EVENTS + 1) if ALL else (6, 9, 14)
TAIL: Final = 4096


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, kill_kit.End]:
    """How the run ends when nothing happens; filled by the first test that needs it."""
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
def test_a_killed_controller_is_made_good(
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


@pytest.mark.parametrize("event", SIDE_BY_SIDE)
@pytest.mark.parametrize("what", ["controller", "group"])
def test_a_session_killed_with_its_workers_is_made_good(
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
def test_a_killed_worker_changes_nothing(
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
    """Where to cut the ledger off: behind each of its last lines, and in the middle of each."""
    start = max(0, len(ledger) - TAIL)
    behind = [place + 1 for place, byte in enumerate(ledger) if byte == 0x0A and place >= start][:-1]
    between = range(start, len(ledger), 61) if ALL else [place + 20 for place in behind[::2]]
    return sorted({*(behind if ALL else behind[::2]), *between})


def test_a_ledger_that_lost_its_end_is_made_good(project: GumpProject, undisturbed: dict[str, kill_kit.End]) -> None:
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


def test_wherever_a_ledger_is_cut_off_it_reads_as_up_to_its_last_whole_line(project: GumpProject) -> None:
    project.answer("impl", writes={"app.py": "value = 2\n"})
    project.run("one")
    ledger = project.folders()[0].ledger
    whole, events = ledger.read_bytes(), project.ledger()
    for place in range(max(0, len(whole) - TAIL), len(whole) + 1):
        ledger.write_bytes(whole[:place])
        assert list(read_ledger(ledger)) == events[: whole[:place].count(b"\n")]


def test_time_between_two_kills_is_not_the_runs(project: GumpProject) -> None:
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
