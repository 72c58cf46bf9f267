"""Count the modules and the changes of direction on the four main paths, in real sessions. See README.md.

A module counts if one of its functions is called between the two ends of a path. Modules are listed in the order of
their first call. A climb is a module that imports the previous one, directly or through others. A callback is a call
from a module to one that imports it, through a hook or a passed object. The script also counts how often a path reads
the spec, the workflow and the ledger.
"""

from __future__ import annotations

import argparse
import ast
import os
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_gump
from scene import ENVIRONMENT, Project, workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(pytest_gump.__file__).parent
FAILS = """\
name: fails
steps:
  - name: change
    agent: writer
    prompt: Write.
    gate: ["bash: false"]
    on_failure: {retry: 2, strategy: ["escalate: idle"]}
"""
TWO = """\
name: two
steps:
  - {name: change, agent: writer, prompt: Write.}
  - {name: last, gate: ["bash: false"]}
"""


READ = ("spec.md", "one.yaml", "workflow.yaml", "ledger.ndjson")
WATCH = "system.git.checkout_watch"
"""Opens files of the checkout to compute digests. This does not count as reading a workflow."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of a module, or a file that the caller opens."""

    caller: str = ""
    module: str = ""
    function: str = ""
    opened: str = ""

    @property
    def stem(self) -> str:
        return self.module.rpartition(".")[2]


def trees() -> dict[str, ast.Module]:
    names = {path: path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    return {
        name.replace("/", ".").removesuffix("__init__").removesuffix("."): ast.parse(path.read_text("utf-8"))
        for path, name in names.items()
    }


def importers() -> dict[str, set[str]]:
    """Return the modules that import each module, directly or through others. Imports for types count too."""
    found = trees()
    graph = {name: {other for other in imported(tree) if other in found} for name, tree in found.items()}
    below: dict[str, set[str]] = {}
    for name, direct in graph.items():
        reached, left = set(), [*direct]
        while left:
            if (other := left.pop()) not in reached:
                reached.add(other)
                left += graph[other]
        below[name] = reached
    return {name: {other for other in below if name in below[other] and other not in below[name]} for name in below}


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pytest_gump"):
            module = (node.module or "").removeprefix("pytest_gump").removeprefix(".")
            yield from (".".join(filter(None, (module, alias.name))) for alias in node.names)
            if module:
                yield module


def session(project: Project, *arguments: str, expect: int = 0) -> list[Call | None]:
    """Run a session, and return the calls in its controller, with None for each report of pytest."""
    trace = project.path.parent / "trace"
    ENVIRONMENT.update(
        CALL_TRACE=str(trace), PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), str(PACKAGE.parent)])
    )
    project.pytest("-p", "call_trace", "--junitxml=out.xml", "--gump-no-preflight", *arguments, expect=expect)
    return [None if row == "report" else call_of(row) for row in trace.read_text().splitlines()]


def call_of(row: str) -> Call:
    kind, where, *rest = row.split(" ")  # where: a thread or a module
    return Call(where, opened=rest[0]) if kind == "open" else Call(*rest)


def first(calls: list[Call | None], wanted: Callable[[Call], bool], after: int = 0) -> int:
    """Return the index of the first wanted call behind the index `after`."""
    return next(n for n, call in enumerate(calls) if n > after and call is not None and wanted(call))


def to_the_agent(calls: list[Call | None]) -> list[Call | None]:
    agent = first(calls, lambda call: call.stem == "agent_phase")
    return calls[: first(calls, lambda call: call.stem == "process", agent) + 1]


def from_a_worker(calls: list[Call | None]) -> list[Call | None]:
    start = first(calls, lambda call: call.stem in {"pool", "workers"} and call.function == "_getter_of")
    return calls[start : max(n for n, call in enumerate(calls) if call is None)]


def from_a_gate(calls: list[Call | None]) -> list[Call | None]:
    start = first(calls, lambda call: call.function == "judge_gates")
    entry = next(call for call in calls if call is not None and call.stem == "attempt")
    return calls[
        start : first(calls, lambda call: (call.module, call.function) == (entry.module, entry.function), start) + 1
    ]


def to_a_reused_step(calls: list[Call | None]) -> list[Call | None]:
    return calls[: first(calls, lambda call: call.function in {"reuse_lines", "taken_up_lines"}) + 1]


def modules_of(part: list[Call | None]) -> list[str]:
    """Return the modules in the order of their first call."""
    return [*dict.fromkeys(call.module for call in part if call is not None and not call.opened)]


def paths() -> Iterator[tuple[str, list[Call | None]]]:
    with workspace() as folder:
        project = Project.make(folder)
        for name, text in (("fails", FAILS), ("two", TWO)):
            project.workflow(name, text)
        project.git("add", "--all", ".gump/workflows")
        project.git("commit", "--quiet", "--message", "workflows")
        yield "(a) spec file -> first agent process", to_the_agent(session(project, "--gump-workflow=one", "spec.md"))
        worker = session(project, "--gump-workflow=one", "-n1", "spec.md")
        yield "(b) result of a worker -> ledger, line, JUnit", from_a_worker(worker)
        gate = session(project, "--gump-workflow=fails", "spec.md", expect=1)
        yield "(c) failed gate -> attempt of another agent", from_a_gate(gate)
        session(project, "--gump-workflow=two", "spec.md", expect=1)
        resumed = session(project, "--gump-resume", expect=1)
        yield "(d) --gump-resume -> first reused step", to_a_reused_step(resumed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the modules of each path, with ^ at climbs")
    is_listed = parser.parse_args().list
    above = importers()
    for title, part in paths():
        modules = modules_of(part)
        climbs = {after for before, after in pairwise(modules) if after in above[before]}
        found = [call for call in part if call is not None]
        calls = {
            (call.caller, call.module)
            for call in found
            if not call.opened and call.module in above.get(call.caller, ())
        }
        opened = Counter(call.opened for call in found if call.opened in READ and call.caller != WATCH)
        print(
            f"{title:<46}{len(modules):4} modules,{len(climbs):3} climbs,{len(calls):3} callbacks; reads", dict(opened)
        )
        if is_listed:
            print("\n".join(f"    {'^' if name in climbs else ' '} {name}" for name in modules))


if __name__ == "__main__":
    main()
