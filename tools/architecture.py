"""Write the generated parts of docs/explanation/architecture.md: `.venv/bin/python tools/architecture.py`.

The parts are generated from docstrings, from imports (also for types), and from the paths below. In a path, `>` leads
to a module that the previous one imports, and `<` to a module that imports the previous one. `~` leads to a module
without such an import, through a hook, a passed object or another process. `=` returns to an earlier module.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_gump"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"

PATHS = {
    "From a spec file on the command line to the first agent process": """
        plugin > conductor > jobs.job > workflow.load = conductor > session.runner > session.opening > jobs.prepare
        = session.runner > session.start < session.opening > engine.run.run = session.runner > session.dispatch
        > engine.run.run > engine.run.order_builder = session.dispatch > session.item_protocol > session.phases
        ~ session.start > engine.attempt.attempt > engine.attempt.agent_phase ~ agents.clis.adapter
        = engine.attempt.agent_phase > system.processes.process
    """,
    "From the result of a worker to the ledger, the line and JUnit": """
        executors.worker < executors.pool ~ session.dispatch > session.item_protocol > session.phases
        = session.item_protocol > engine.run.run > engine.run.journal > engine.record.ledger
        = session.item_protocol > reporters.report > reporters.lines = session.item_protocol > reporters.junit
    """,
    "From a failed gate to the attempt of another agent": """
        engine.attempt.gate_phase < engine.attempt.attempt > engine.attempt.judge = engine.attempt.attempt
        ~ session.dispatch > session.item_protocol > engine.run.run ~ engine.schedule.schedule
        > engine.schedule.failure_handling > engine.schedule.retry = engine.schedule.failure_handling
        ~ session.item_protocol = session.dispatch > engine.run.run > engine.schedule.resumable
        > engine.schedule.approvals > engine.schedule.schedule > engine.schedule.attempts = engine.run.run
        > engine.run.order_builder = session.dispatch
    """,
    "From `--gump-resume` to the first reused step": """
        plugin > jobs.previous_run > engine.record.stored_run = plugin > conductor > jobs.job = conductor
        > session.runner > session.opening > session.resume > engine.resume.history = session.resume
        > engine.resume.replay > engine.schedule.resumable = session.opening > jobs.prepare
        = session.runner > session.start < session.resume
        > engine.resume.resumed_run = session.runner > reporters.report > reporters.lines
    """,
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> set[str]:
    """Return the modules of the package that a module imports, also inside functions and for types."""
    found = {
        f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}"[12:] in FILES else node.module or ""
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {name[12:] for name in found if name.startswith("pytest_gump.")} - {module}


def package_of(module: str) -> str:
    """Return the node in the picture: a package of the root, a package of the engine, or a module of the root."""
    return ".".join(module.split(".")[: 2 if module.startswith("engine.") else 1])


def package_imports() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module in FILES.keys() - {"", "engine"}:
        package = package_of(module)
        graph.setdefault(package, set()).update({package_of(other) for other in imports(module)} - {package})
    return graph


def without_implied(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph without edges that other edges imply."""
    below: dict[str, set[str]] = {}
    for node in TopologicalSorter(graph).static_order():
        below[node] = graph[node].union(*(below[other] for other in graph[node]))
    return {node: {other for other in to if not any(other in below[via] for via in to)} for node, to in graph.items()}


def picture() -> str:
    graph = without_implied(package_imports())
    lines = [f"    {node} --> {' & '.join(sorted(graph[node]))}" for node in sorted(graph) if graph[node]]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


@cache
def first_sentence(module: str) -> str:
    text = " ".join((ast.get_docstring(tree(module)) or "").split("\n\n")[0].split())
    return (re.split(r"(?<=\.) ", text)[0] or "").replace("|", "\\|")


def packages() -> str:
    names = [name_of(path) for path in sorted(PACKAGE.rglob("__init__.py"))]
    return "\n".join(
        ["| package | what it is for |", "|---|---|", *(f"| `{n}` | {first_sentence(n)} |" for n in names if n)]
    )


def steps(path: str) -> list[tuple[str, str]]:
    """Return sign and module of each step. The first step has the sign `>`."""
    words = ["> ", *path.split()]
    return [(sign.strip(), module) for sign, module in zip(words[::2], words[1::2], strict=True)]


def wrong_steps(path: str) -> list[str]:
    """Return the steps whose sign does not match the imports or the path so far. Unknown modules are returned alone."""
    found = steps(path)
    missing = [module for _, module in found if module not in FILES]
    if missing:
        return missing
    passed, wrong = set[str](), []
    for (_, before), (sign, after) in pairwise(found):
        passed.add(before)
        fits = after in passed if sign == "=" else sign == sign_of(before, after)
        wrong += [] if fits else [f"{before} {sign} {after}"]
    return wrong


def sign_of(before: str, after: str) -> str:
    if after in imports(before):
        return ">"
    return "<" if before in imports(after) else "~"


def path_text(title: str, path: str) -> str:
    says = {">": "", "<": " (up)", "~": " (no import)", "=": " (back)"}
    rows, seen = [], set[str]()
    for number, (sign, module) in enumerate(steps(path), 1):
        about = "" if module in seen else f": {first_sentence(module)}"
        rows.append(f"{number}. `{module}`{says[sign]}{about}")
        seen.add(module)
    return "\n".join([f"### {title}", "", *rows])


def page(text: str) -> str:
    """Return the page with new generated parts."""
    parts = {
        "packages": packages(),
        "picture": picture(),
        "paths": "\n\n".join(path_text(title, path) for title, path in PATHS.items()),
    }
    for name, part in parts.items():
        marks = (f"<!-- generated: {name} -->", f"<!-- end: {name} -->")
        before, _, rest = text.partition(marks[0])
        text = "".join([before, marks[0], "\n\n", part, "\n\n", marks[1], rest.partition(marks[1])[2]])
    return text


if __name__ == "__main__":
    if wrong := [step for path in PATHS.values() for step in wrong_steps(path)]:
        sys.exit("these steps of PATHS contradict the imports:\n" + "\n".join(wrong))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
