"""A run folder that is read once: its content, the status of the run, and later events."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pytest_gump.engine.record import run_folder
from pytest_gump.engine.record.ledger import Ledger
from pytest_gump.engine.record.run_folder import RunFolder
from pytest_gump.engine.record.stored_run import StoredRun
from pytest_gump.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

BASE = "b" * 40
DEAD: dict[str, Any] = {"pid": 99999999, "pid_created": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with a header and an empty ledger."""
    made = RunFolder.create(tmp_path, "20261122-061512-tdd-7f3a0c")
    made.write_header({"format": 1}, {"workflow.yaml": b"name: tdd\n", "spec.md": b"# Spec\n"})
    made.ledger.touch()
    return made


def append(run: RunFolder, event: str, /, **fields: Any) -> None:
    with closing(Ledger(run.ledger, time.time)) as ledger:
        ledger.append(event, **fields)


def start(folder: RunFolder, **process: Any) -> None:
    names = {"run_id": folder.run_id, "workflow": "tdd", "spec": "spec.md", "base": BASE, "branch": "gump/run"}
    append(folder, "run_started", **names, max_budget=None, **process)


def test_header_events_and_record_are_read_at_once(folder: RunFolder) -> None:
    start(folder, **DEAD)
    run = StoredRun.read(folder)
    assert run.header == {"format": 1}
    assert [event["event"] for event in run.events] == ["run_started"]
    assert (run.id, run.record.run_id, run.record.base) == (folder.run_id, folder.run_id, BASE)


def test_run_is_running_while_its_process_is_alive(folder: RunFolder) -> None:
    process = psutil.Process()
    start(folder, pid=process.pid, pid_created=process.create_time())
    run = StoredRun.read(folder)
    assert (run.state, run.record.pid) == ("running", process.pid)


def test_run_without_its_process_is_interrupted_until_another_process_owns_it(folder: RunFolder) -> None:
    start(folder, **DEAD)
    assert StoredRun.read(folder).state == "interrupted"
    with folder.owned():
        others = StoredRun.read(folder)
        assert (others.state, others.record.pid) == ("running", None)
        assert StoredRun.read(folder, ours=True).state == "interrupted"


def test_reading_waits_for_a_short_lock_of_another_process(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "PROBED_S", 60.0)
    start(folder, **DEAD)
    with ExitStack() as lock, ThreadPoolExecutor() as threads:
        lock.enter_context(folder.owned())
        assert StoredRun.read(folder).state == "running"
        read = threads.submit(StoredRun.read_unlocked, folder)
        lock.close()
        assert read.result().state == "interrupted"


def test_run_that_remains_locked_is_running(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "PROBED_S", 0.0)
    start(folder, **DEAD)
    with folder.owned():
        assert StoredRun.read_unlocked(folder).state == "running"


def test_run_without_events_is_running_while_its_ledger_is_open(folder: RunFolder) -> None:
    assert StoredRun.read(folder).state == "interrupted"
    with closing(Ledger(folder.ledger, time.time)):
        assert StoredRun.read(folder).state == "running"


def test_run_is_read_again_only_if_its_ledger_has_grown(folder: RunFolder) -> None:
    start(folder, **DEAD)
    run = StoredRun.read(folder)
    assert run.read_on() is run
    append(folder, "discarded")
    grown = run.read_on()
    assert (run.record.discarded, grown.record.discarded, len(grown.events)) == (False, True, 2)


def test_invalid_result_is_an_error_only_if_results_are_needed(folder: RunFolder) -> None:
    start(folder, **DEAD)
    names = {"step": "impl", "mode": "diff", "entry": "first", "base": BASE, "step_base": BASE}
    append(folder, "attempt_started", number=1, attempt=1, agent=None, **names)
    usage: dict[str, Any] = {"tokens": {}, "cost_usd": None, "provenance": "reported", "turns": 0, "tool_calls": 0}
    result = {"usage": usage, "outcome": "passed", "timings": {"total_s": 1.0}}
    append(folder, "attempt_finished", number=1, folder=None, result=result)
    assert len(StoredRun.read(folder, results=False).record.attempts) == 1
    with pytest.raises(RunError, match="cannot read the ledger"):
        StoredRun.read(folder)


@pytest.mark.parametrize("cost", ["nothing", 10**400])
def test_cost_that_is_not_a_number_is_an_error(folder: RunFolder, cost: Any) -> None:
    start(folder, **DEAD)
    names = {"step": "impl", "mode": "diff", "entry": "first", "base": BASE, "step_base": BASE}
    append(folder, "attempt_started", number=1, attempt=1, agent=None, **names)
    usage: dict[str, Any] = {"tokens": {}, "cost_usd": cost, "provenance": "reported", "turns": 0, "tool_calls": 0}
    result = {"usage": usage, "outcome": "passed", "timings": {"total_s": 1.0}}
    append(folder, "attempt_finished", number=1, folder=None, result=result)
    with pytest.raises(RunError, match="cannot read the ledger"):
        StoredRun.read(folder, results=False)


@pytest.mark.parametrize("name", ["run.json", "ledger.ndjson"])
def test_missing_file_is_an_error(folder: RunFolder, name: str) -> None:
    (folder.path / name).unlink()
    with pytest.raises(RunError, match=f"cannot read .*{name}"):
        StoredRun.read(folder)
