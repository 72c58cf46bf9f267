"""Nodes of a run in pytest: spec (or workflow file) > workflow > groups > step items."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.order import Outcome
from pytest_gump.text import clean_text
from pytest_gump.workflow.generated import GATE, merge_path, merged_members
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.jobs.job import Job
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.model import Step


class GateFailed(AssertionError):  # noqa: N818 - a result, not an error
    """An attempt that did not pass. The first line of the text is the reason."""


class JobFile(pytest.File):
    """A spec or workflow file that the command line names."""

    jobs: tuple[Job, ...]

    @classmethod
    def from_parent(cls, parent: pytest.Collector, *, path: Path, jobs: tuple[Job, ...]) -> JobFile:  # type: ignore[override]
        node: JobFile = super().from_parent(parent, path=path)
        node.jobs = jobs
        return node

    def collect(self) -> Iterator[pytest.Collector]:
        for job in self.jobs:
            yield WorkflowCollector.from_parent(self, name=job.workflow.name, job=job)


class JobFolder(pytest.Dir):  # type: ignore[misc]  # final for type checkers only
    """A folder with several specs or workflow files.

    pytest collects a folder again for each of its files that the command line names. From the second time on, `collect`
    returns the same nodes, if possible only those of the requested file. Files that are not of a run are collected
    again only if they are named too. Measured 2026-11-29 with `benchmarks/README.md` for 1,000 files: 3.9 s of CPU and
    106 MB; without this class, 37 s and 1,230 MB.
    """

    nodes: dict[Path, list[pytest.Item | pytest.Collector]] | None = None
    requested: Iterator[Path] | None = None

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        if self.nodes is None:
            self.nodes = {}
            for node in super().collect():
                self.nodes.setdefault(node.path, []).append(node)
            self.requested = self._requested_files()
            yield from chain.from_iterable(self.nodes.values())
            return
        path = None if self.requested is None else next(self.requested, None)
        for known_path in self.nodes if path is None else (path,):
            yield from self._again(known_path)

    def _again(self, path: Path) -> Iterator[pytest.Item | pytest.Collector]:
        """Return the nodes of a path that was collected before."""
        known = self.nodes.get(path, ()) if self.nodes else ()
        if all(isinstance(node, JobFile | pytest.Directory) for node in known):
            yield from known
        elif self.session.isinitpath(path):
            yield from self.ihook.pytest_collect_file(file_path=path, parent=self)

    def _requested_files(self) -> Iterator[Path] | None:
        """The files that pytest requests after the first; None if it may request more than files of this folder.

        `_initial_parts` is private to pytest. Without it, every collection returns all nodes: for 1,000 named files,
        that is a million comparisons in two seconds.
        """
        parts = getattr(self.session, "_initial_parts", ())
        here = [part for part in parts if part.path.parent == self.path]
        beyond = [
            part for part in parts if self.path in part.path.parents or part.path in (self.path, *self.path.parents)
        ]
        files = [part.path for part in here if part.path.is_file() and not part.parts and part.module_name is None]
        return iter(files[1:]) if files and len(files) == len(beyond) else None


class WorkflowCollector(pytest.Collector):
    """One workflow on one spec. Until the plan exists, a `foreach` has template items: `impl[*]`."""

    job: Job

    @classmethod
    def from_parent(cls, parent: pytest.Collector, *, name: str, job: Job) -> WorkflowCollector:  # type: ignore[override]
        node: WorkflowCollector = super().from_parent(parent, name=name)
        node.job = job
        has_plugin = node.config.pluginmanager.has_plugin
        if has_plugin("warnings"):
            node.add_marker(pytest.mark.filterwarnings("default"))  # a warning must not fail an attempt
        if has_plugin("timeout") or has_plugin("pytest_timeout"):
            node.add_marker(pytest.mark.timeout(0))  # pytest-timeout would end the session instead of the agent
        return node

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        yield from _children(self, self, self.job.workflow.steps, StepPath(()))


class GroupCollector(pytest.Collector):
    """A group of steps."""

    root: WorkflowCollector
    step: Step
    step_path: StepPath

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        yield from _children(self.root, self, self.step.steps, self.step_path)
        whole = self.step_path if self.step.foreach is None else self.step_path.outer
        for name in merged_members(self.step):
            yield self._own(merge_path(whole, name))
        if self.step.gate:
            yield self._own(whole.child(GATE))

    def _own(self, path: StepPath) -> StepItem:
        return StepItem.from_parent(self, name=path.leaf, root=self.root, step_path=path)


def _children(
    root: WorkflowCollector, parent: pytest.Collector, steps: tuple[Step, ...], path: StepPath
) -> Iterator[pytest.Item | pytest.Collector]:
    for step in steps:
        child = path.child(step.name)
        if step.kind == "group":
            yield _group(root, parent, step, child.item("*") if step.foreach else child)
        else:
            yield StepItem.from_parent(parent, name=child.leaf, root=root, step_path=child)


def _group(root: WorkflowCollector, parent: pytest.Collector, step: Step, path: StepPath) -> GroupCollector:
    group: GroupCollector = GroupCollector.from_parent(parent, name=step.name)
    group.root, group.step, group.step_path = root, step, path
    return group


class StepItem(pytest.Item):
    """One step of a run. Each execution is one attempt."""

    root: WorkflowCollector
    step_path: StepPath
    order: Order | None = None
    result: AttemptResult | None = None
    """Result of `order` after the attempt; None for a step without an attempt."""

    @classmethod
    def from_parent(  # type: ignore[override]
        cls, parent: pytest.Collector, *, name: str, root: WorkflowCollector, step_path: StepPath
    ) -> StepItem:
        node: StepItem = super().from_parent(parent, name=name)
        node.root, node.step_path = root, step_path
        return node

    def runtest(self) -> None:
        if self.result is not None and not self.result.passed:
            raise GateFailed(describe_failure(self.result))

    def bare_report(self, when: str, outcome: str = "passed", longrepr: Any = None) -> Any:
        """Return a report of the step that no plugin has changed."""
        report: Any = pytest.TestReport.from_item_and_call(self, pytest.CallInfo.from_call(lambda: None, when="call"))
        report.when, report.outcome, report.longrepr = when, outcome, longrepr
        return report

    def skip_location(self, reason: str) -> tuple[str, int | None, str]:
        """Return the `longrepr` of a skipped report: path, line and reason."""
        return (*self.location[:2], f"Skipped: {reason}")

    def reportinfo(self) -> tuple[Path, int, str]:
        loaded = self.root.job.loaded
        locations = (loaded.location("::".join(self.step_path.names[:depth])) for depth in (None, -1))
        path, line = next((found for found in locations if found[1] is not None), (loaded.path, None))
        return path or self.path, line - 1 if line else 0, f"{self.root.name}::{self.step_path}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the text of a failed attempt. Only internal errors have a traceback."""
        from pytest_gump.errors import GumpError

        if isinstance(excinfo.value, GateFailed | GumpError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


_NOT_THERE: Final = ("command not found: ", " is not installed")
_INSTALL: Final = (
    "hint: the worktrees of a run do not contain files that git ignores (node_modules, a virtual environment):",
    "  install them with gump_setup in the ini file or `setup:` in the workflow (for example `npm ci`),",
    "  or list them in .worktreeinclude,",
    "  or set another command: gump_test, gump_compile, gump_lint",
)


def describe_failure(result: AttemptResult) -> str:
    """Return the failure text of an attempt: the reason in one line, then each gate that did not pass."""
    lines = [f"{result.step}: {result.reason or result.outcome}"]
    for gate in result.gates:
        if gate.status in {"failed", "error"}:
            lines += ["", f"gate {gate.name}: {gate.summary or gate.status}"]
            if gate.command:
                exit_code = "" if gate.exit_code is None else f"   (exit code {gate.exit_code})"
                lines.append(f"  $ {gate.command}{exit_code}")
            lines += [f"  {line}" for line in gate.output.splitlines()]
    lines += [f"note: {note}" for note in result.notes]
    if result.outcome is Outcome.GATE_ERROR and any(text in result.reason for text in _NOT_THERE):
        from pytest_gump.engine.attempt.setup_phase import NOT_COPIED  # not needed for collection
        from pytest_gump.system.worktrees.copies import INCLUDE

        was_named = any(note.startswith(NOT_COPIED) for note in result.notes)
        lines += ["", *(line for line in _INSTALL if not (was_named and INCLUDE in line))]
    return clean_text("\n".join(lines))


def find_or_make(root: WorkflowCollector, path: StepPath, items: dict[str, StepItem]) -> StepItem:
    """Return the item of a step. Items of plan items and replans are created on first use."""
    key = str(path)
    if key not in items:
        parent: pytest.Collector = root
        for depth in range(1, len(path.names)):
            group: GroupCollector = GroupCollector.from_parent(parent, name=path.names[depth - 1])
            parent = group
        items[key] = StepItem.from_parent(parent, name=path.leaf, root=root, step_path=path)
    return items[key]
