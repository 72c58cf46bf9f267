"""A run that is killed at a chosen event of its ledger, and checks before and after it is resumed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.engine.record.liveness import run_state

from tests.kits import parallel as parallel_kit
from tests.kits.commands import gump
from tests.kits.processes import PYTEST, living, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.testing import GumpProject

WORKFLOW: Final = """\
name: side
steps:
  - {name: split, agent: script, output: plan, prompt: Split it.}
  - name: build
    foreach: split
    parallel: true
    steps:
      - name: impl
        agent: script
        prompt: "Do {item.name}."
        gate: [compile]
        on_failure: {retry: 2, strategy: [same, "escalate: strong"]}
    gate: [compile]
  - {name: notes, workflow: note, with: {kind: short}}
  - name: last
    agent: script
    prompt: "Finish {attempt} {steps.notes.status} [{prev.output}] [{prev.comment}] [{gate.compile}] [{diff}]"
    context: [{workflow: explain, with: {topic: "{steps.notes.output}"}}]
    gate: [compile]
    on_failure: {retry: 2, strategy: [same], restart_from: notes}
  - {name: quality, gate: [compile]}
"""
CALLED: Final = {
    "note": """\
name: note
inputs: {kind: {required: true}}
steps:
  - {name: write, agent: script, prompt: "Write {kind} notes.", gate: [compile, "validate: check"]}
""",
    "check": """\
name: check
steps:
  - {name: verdict, agent: script, output: review, prompt: "Is it right? {diff}"}
""",
    "explain": """\
name: explain
inputs: {topic: {required: true}}
steps:
  - {name: tell, agent: script, output: artifact, prompt: "Explain {topic}."}
""",
}
CONFTEST: Final = "conftest.py"
"""The only file that differs between two projects: it contains the path of the project."""
AGENT: Final = """\
pathlib.Path({log!r}).open("a").write(f"{{step}} {{item}} {{attempt}}\\n")
usage(0.01)
time.sleep({pause})
if step == "split":
    plan({{"name": "a", "description": "A"}}, {{"name": "b", "description": "B"}})
elif step == "build::impl":
    write(f"{{item}}.py", "x = (\\n" if item == "b" and attempt == 1 else "x = 1\\n")
elif step == "last--context-explain::tell":
    (out / "artifact.txt").write_text("It is about notes.")
elif step == "notes::write":
    write("notes.py", f"n = {{attempt}}\\n")
elif step == "notes::write--validate-check::verdict":
    write(".gump/out/review.json", json.dumps({{"pass": True}}))
elif step == "last":
    write("last.py", "x = (\\n" if attempt == 1 else "x = 2\\n")
"""
KILLER: Final = '''\
"""Ends something with SIGKILL right after an event of the ledger."""

import os
import signal

import psutil
from pytest_gump.engine.record.ledger import Ledger

what, _, number = os.environ.get("KILL_AT", "").partition(":")
append = Ledger.append
events = 0


def command(process):
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def append_and_kill(self, event, **fields):
    global events
    written = append(self, event, **fields)
    events += 1
    if what and events == int(number):
        if what == "controller":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "group":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        else:
            workers = [one for one in psutil.Process().children() if "execnet" in command(one)]
            if workers:
                workers[-1].kill()
    return written


Ledger.append = append_and_kill
'''


def prepare(project: GumpProject, *, pause: float = 0.05) -> None:
    log = project.path.parent / f"{project.path.name}-agents.log"
    log.touch()
    parallel_kit.prepare(project, AGENT.format(log=str(log), pause=pause), workflow=WORKFLOW)
    for name, text in CALLED.items():
        project.workflow(name, text)
    conftest = (project.path / CONFTEST).read_text()
    named = conftest.replace('{"script": Script()}', '{"script": Script(), "strong": Script()}')
    assert named != conftest
    project.write({CONFTEST: named, "killer.py": KILLER})
    project.commit("tools")


def session(project: GumpProject, *words: str, kill_at: str = "") -> subprocess.CompletedProcess[str]:
    """Run a pytest session in its own process group."""
    return subprocess.run(
        [*PYTEST, "-p", "killer", *words],
        cwd=project.path,
        env={**os.environ, "KILL_AT": kill_at, "PYTHONPATH": str(project.path)},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass(frozen=True)
class End:
    """The results that two runs must share, killed or not."""

    status: str
    steps: dict[str, str]
    tree: str
    prompts: dict[tuple[str, int], str]
    """Prompts of the steps after the parallel group, by step and attempt, without paths."""


def end_of(project: GumpProject) -> End:
    record = newest(project)
    tree = "\n".join(line for line in project.git("ls-tree", "-r", record.branch).splitlines() if CONFTEST not in line)
    steps = {path: step.status for path, step in record.steps.items()}
    return End(record.status, dict(sorted(steps.items())), tree, dict(_prompts(project, record)))


def _prompts(project: GumpProject, record: RunRecord) -> Iterator[tuple[tuple[str, int], str]]:
    for one in record.attempts:
        if one.step.startswith(("notes", "last")) and one.counts and one.result is not None:
            (folder,) = (project.folders()[0].path / "attempts").glob(f"{one.number:04d}-*")
            yield (one.step, one.attempt), re.sub(r"/[\w./-]+", "PATH", (folder / "prompt.md").read_text())


def newest(project: GumpProject) -> RunRecord:
    return fold(read_ledger(project.folders()[0].ledger))


def check_dead(project: GumpProject) -> None:
    """Check a run whose session was killed, before it is resumed."""
    began = time.monotonic()
    wait_until(lambda: not living(project), 5.0)
    assert time.monotonic() - began < 5.0, "a process of the killed session still runs"
    record = newest(project)
    assert run_state(record) in {"interrupted", "passed"}
    check_status(project)


def check_status(project: GumpProject) -> None:
    """Check that `gump status` names the steps that were running when the session was killed."""
    events = project.ledger()
    decided = {one["number"] for one in events if one["event"] in {"decided", "awaiting", "attempt_judged"}}
    begun = [one for one in events if one["event"] == "attempt_started"]
    cut_off = [one["step"] for one in begun if one["number"] not in decided]
    told = json.loads(gump("status", "--json").stdout)["runs"][0]
    assert [one["step"] for one in told["running"]] == cut_off
    if cut_off:
        others = f" and {len(cut_off) - 1} more" if cut_off[1:] else ""
        assert f" interrupted  {cut_off[0]}{others} " in gump("status").stdout


def check_whole(project: GumpProject, undisturbed: End, *, repeats: int) -> None:
    """Check a resumed run. At most `repeats` attempts were running when it was killed and may run twice."""
    assert end_of(project) == undisturbed
    record = newest(project)
    passed = Counter((one.step, one.attempt) for one in record.attempts if one.result and one.result.passed)
    assert not [place for place, times in passed.items() if times > 1], "a passed step ran twice"
    log = project.path.parent / f"{project.path.name}-agents.log"
    made = Counter(log.read_text().splitlines())
    assert sum(times - 1 for times in made.values()) <= repeats, made
    assert record.total.cost_usd >= streamed_usd(project.folders()[0].path) - 1e-9
    assert not living(project)


def streamed_usd(folder: Path) -> float:
    """Return the cost of a run by its recorded streams."""
    total = 0.0
    for stream in (folder / "attempts").glob("*/stream.ndjson"):
        costs = [_usd(line) for line in stream.read_text().splitlines()]
        total += sum(costs)
    return total


def _usd(line: str) -> float:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return 0.0
    return float(event.get("cost_usd") or 0.0) if event.get("type") == "usage" else 0.0
