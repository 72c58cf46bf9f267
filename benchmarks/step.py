"""One step that writes a file and runs a gate: the whole session, its imports and its git processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Cost, alternate, run
from scene import PYTEST, Project, output, workspace
from targets import Measured, number

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
BARE, UNUSED, WORDS = ("-p", "no:gump", "../empty"), ("../empty",), ("--gump-workflow=one", "spec.md")
"""Arguments of three sessions: without the plugin, with the plugin but without a workflow, and with one step."""

IMPORT = """\
import importlib, json, sys, time
bare, more = json.load(open(sys.argv[1]))
def load(names):
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            pass
load(bare)
cpu, began = time.process_time(), time.perf_counter()
load(more)
print(1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - began))
"""


def measure(rounds: int, _names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder)
        project.bare()
        bare, unused, one = (loaded(project, *words) for words in (BARE, UNUSED, WORDS))
        costs = alternate(
            rounds,
            {
                "bare": project.bare,
                "one": lambda: project.pytest(*WORDS),
                "imports": lambda: import_cost(folder, bare["modules"], beyond_bare(one, bare)),
                "plugin": lambda: import_cost(folder, bare["modules"], beyond_bare(unused, bare)),
            },
        )
        floors = costs["bare"]
        yield Measured("step/session", costs["one"], floors, less=floors)
        yield Measured("step/imports", costs["imports"], floors)
        yield Measured("step/plugin", costs["plugin"], floors)
        yield number("step/dataclasses", one["dataclasses"] - bare["dataclasses"])
        yield number("step/modules", len(beyond_bare(one, bare)))
        yield number("step/git", len(project.git_commands(*WORDS)))


def beyond_bare(session: Any, bare: Any) -> list[str]:
    return [name for name in session["modules"] if name not in {*bare["modules"], *OF_THE_SESSION}]


def import_cost(folder: Path, bare: list[str], more: list[str]) -> Cost:
    """Measure the import of `more` in a process that has imported `bare`, the modules of an empty session."""
    lists = folder / "modules.json"
    lists.write_text(json.dumps([bare, more]))
    return Cost(*map(float, output("-c", IMPORT, str(lists), cwd=HERE).split()))


OF_THE_SESSION = {"__main__", "conftest"}


def loaded(project: Project, *words: str) -> Any:
    """Run a session in one process. Return the names of its modules, number of dataclasses and peak memory."""
    found = project.path.parent / "loaded.json"
    command = [sys.executable, str(HERE / "loaded.py"), str(found), *PYTEST[3:], *words]
    run(command, cwd=project.path, environment=project.environment(), expect=0 if "spec.md" in words else 5)
    return json.loads(found.read_text())
