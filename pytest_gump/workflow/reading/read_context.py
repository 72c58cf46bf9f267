"""Reads `context:`, the additions to a prompt: files, the output of commands, and the output of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.system.files import path_error
from pytest_gump.text import quoted
from pytest_gump.workflow import keys
from pytest_gump.workflow.generated import may_write
from pytest_gump.workflow.model import ContextEntry, Step
from pytest_gump.workflow.path import CONTEXT
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.located import PlacedStep, Surroundings, Templated
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe
from pytest_gump.workflow.refs import iter_steps

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.yaml_nodes import Node

KINDS: Final = ("file", "bash", "workflow")
ENTRY_KEYS: Final = (*KINDS, *(key for key in keys.keys(keys.ContextWorkflow) if key not in KINDS))


class Context(NamedTuple):
    entries: tuple[ContextEntry, ...]
    texts: tuple[Templated, ...]
    calls: tuple[PlacedStep, ...]
    """The calls of the workflows: steps that run before the step."""


def read_context(step: Fields, names: tuple[str, ...], around: Surroundings) -> Context:
    """Read the context of the step with these names."""
    reader = _Reader(names, around)
    entries = (reader.entry(node) for node in step.nodes("context") or ())
    found = tuple(entry for entry in entries if entry is not None)
    return Context(found, tuple(reader.texts), tuple(reader.calls))


class _Reader:
    def __init__(self, names: tuple[str, ...], around: Surroundings) -> None:
        self._names, self._around = names, around
        self.texts: list[Templated] = []
        self.calls: list[PlacedStep] = []

    def entry(self, node: Node) -> ContextEntry | None:
        problems = self._around.problems
        if not isinstance(node, MapNode):
            forms = "{file: PATH}, {bash: COMMAND} or {workflow: NAME}"
            problems.add(node.position, f"a context entry must be {forms}, not {describe(node)}")
            return None
        fields = Fields(node, ENTRY_KEYS, problems)
        given = [kind for kind in KINDS if kind in fields]
        if len(given) != 1:
            both = " and ".join(f"'{kind}'" for kind in given)
            what = f"{'both ' if len(given) == 2 else ''}{both}" if given else "none of 'file', 'bash' and 'workflow'"
            problems.add(node.position, f"a context entry has {what}", "each entry has exactly one of them")
            return None
        if "with" in fields and given != ["workflow"]:
            fields.refuse_key("with", "'with' without 'workflow'")
        if given == ["bash"]:
            return ContextEntry(bash=fields.text("bash"))
        return self._file(fields) if given == ["file"] else self._workflow(fields)

    def _file(self, fields: Fields) -> ContextEntry | None:
        path, written = fields.text("file"), fields.get("file")
        if path is None or not isinstance(written, ScalarNode):
            return None
        if wrong := path_error(path):
            what = f"context file {quoted(path)} {wrong}"
            self._around.problems.add(written.position, what, "paths are relative to the project's root")
        self.texts.append(Templated(path, written))
        return ContextEntry(file=path)

    def _workflow(self, fields: Fields) -> ContextEntry | None:
        from pytest_gump.workflow.reading.read_call import read_call  # most workflows call no other

        called = read_call(fields, self._around)
        if called is None:
            return None
        if problem := _problem(called.loaded.workflow):
            fields.refuse_value("workflow", *problem)
        name = self._free_name(called.loaded.workflow.name)
        step = Step(name=name, call=called.call, steps=called.loaded.workflow.steps)
        names = (*self._names[:-1], name)
        self.calls.append(PlacedStep(step, names, "call", fields, texts=called.texts, called=called.loaded))
        return ContextEntry(workflow=called.call.workflow, call=name)

    def _free_name(self, workflow: str) -> str:
        """Return `impl--context-summarise`, with a number for a second call of the workflow."""
        first = f"{self._names[-1]}{CONTEXT}{workflow}"
        taken = sum(call.step.name == first or call.step.name.startswith(f"{first}--") for call in self.calls)
        return f"{first}--{taken + 1}" if taken else first


def _problem(workflow: Workflow) -> Mistake | None:
    """Return why a workflow cannot give the context of a step."""
    name = quoted(workflow.name)
    writer = next((step for _, step in iter_steps(workflow.steps) if step.kind == "agent" and may_write(step)), None)
    if writer is not None:
        hint = "a workflow in 'context' only reads: write 'output: artifact'"
        return f"workflow {name} can change files: its step {quoted(writer.name)} has 'output: diff'", hint
    last = workflow.steps[-1]
    while last.kind == "group" and last.foreach is None and not last.parallel:
        last = last.steps[-1]
    if last.kind != "agent":
        return f"workflow {name} has no output: its last step must have an agent", "end it with 'output: artifact'"
    return None
