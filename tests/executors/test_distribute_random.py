"""Workers killed at random: every session ends, with a status for each step. `make test-crash` runs 200 rounds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.kits.processes import living, replayed, wait_until
from tests.kits.workflows import PLAN

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

ROUNDS = int(os.environ.get("GUMP_CRASH_ROUNDS", "1"))
SEED = int(os.environ.get("GUMP_CRASH_SEED", "1"))
WAYS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)
ITEMS = ("one", "two", "three")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_session_survives_the_loss_of_workers_at_any_time(project: GumpProject, seed: int) -> None:
    chance = random.Random(seed)
    prepare(project)
    words = [f"-n{chance.randint(1, 3)}", "--gump-replay-delay=1", "--tb=no"]
    if chance.random() < 0.3:
        words.append(f"--max-worker-restart={chance.randint(0, 2)}")
    with replayed(project, "--gump-workflow=plan", *words, "spec.md") as process:
        wait_until(lambda: project.folders() or process.poll() is not None)  # before that, xdist starts its workers
        until = time.monotonic() + chance.uniform(1, 8)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(chance.uniform(0.2, 2))
            hit(process, chance)
        try:
            output, _ = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            pytest.fail(f"seed {seed}: the session hangs")
    assert process.returncode in {0, 1}, f"seed {seed}: {output}"
    assert "INTERNALERROR" not in output, f"seed {seed}: {output}"
    record = project.record()
    assert record.status in {"passed", "failed"}, f"seed {seed}: {output}"
    assert {step.status for step in record.steps.values()} <= {"passed", "failed", "skipped"}
    assert all(one.result is not None for one in record.attempts)
    wait_until(lambda: not living(project), 10)


def prepare(project: GumpProject) -> None:
    project.workflow("plan", PLAN.replace("foreach: decompose", "foreach: decompose\n    parallel: true"))
    project.plan("decompose", *ITEMS)
    for item in ITEMS:
        tests, code = {f"test_{item}.py": "x = 1\n"}, {f"{item}.py": "x = 1\n"}
        project.answer(f"build::tests[{item}]", writes=tests, pauses_s=[0.2] * 4)
        project.answer(f"build::impl[{item}]", writes=code, pauses_s=[0.2] * 4)


def hit(session: subprocess.Popen[str], chance: random.Random) -> None:
    """Send a signal to a worker, a process that it forked, or a supervisor of its agents."""
    with suppress(psutil.Error):
        workers = psutil.Process(session.pid).children()
        if workers:
            worker = chance.choice(workers)
            helpers = [helper for forked in worker.children() for helper in (forked, *forked.children())]
            victim = chance.choice(helpers) if helpers and chance.random() < 0.5 else worker
            victim.send_signal(chance.choice(WAYS))
