"""Translates the steps of Gump 0.0.4."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.text import quoted
from pytest_gump.workflow.find import exists
from pytest_gump.workflow.former.agent_step import AgentStep, translate_hitl
from pytest_gump.workflow.former.blocks import GET, read_blocks
from pytest_gump.workflow.former.gates import translate_gates, translate_inputs
from pytest_gump.workflow.former.new_nodes import Pair, listing, mapping, scalar
from pytest_gump.workflow.former.outline import RESERVED_TYPES, TYPES, kind_of
from pytest_gump.workflow.former.texts import Where
from pytest_gump.workflow.reading.yaml_nodes import MapNode, ScalarNode, describe

if TYPE_CHECKING:
    from pytest_gump.workflow.former.agent_step import Tools
    from pytest_gump.workflow.former.blocks import Block
    from pytest_gump.workflow.former.outline import Kind, Path
    from pytest_gump.workflow.former.retry import Retry
    from pytest_gump.workflow.reading.yaml_nodes import Node


class Steps:
    """Translates the steps of one file."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._problems = tools.file.problems

    def translate(self, nodes: tuple[Node, ...], above: Path, splits: int) -> list[Node]:
        steps: list[Node] = []
        names: dict[str, Node] = {}
        for node in nodes:
            if not isinstance(node, MapNode):
                self._problems.add(node.position, f"a step must be a mapping with a name, not {describe(node)}")
                continue
            self._check_name(node, names)
            steps += self._step(node, above, splits)
        return steps

    def _check_name(self, node: MapNode, names: dict[str, Node]) -> None:
        name = node.values.get("name")
        if (
            isinstance(name, ScalarNode)
            and isinstance(name.value, str)
            and names.setdefault(name.value, name) is not name
        ):
            hint = f"the first is on line {names[name.value].position.line}; rename one"
            self._problems.add(name.position, f"duplicate step name {quoted(name.value)}", hint)

    def _step(self, node: MapNode, above: Path, splits: int) -> list[Node]:
        kind = self._kind(node)
        block = read_blocks(node, kind, self._problems)
        name = block.step.text("name")
        if "name" not in block.step:
            block.step.refuse("the step has no name", "add 'name: ...'")
        if kind == "unclear" or name is None:
            return []
        where = Where((*above, name), splits)
        if kind == "group":
            return [self._group(block, where)]
        if kind == "call":
            return [self._call(block, where)]
        if kind == "gate":
            return [self._gates(block, where)]
        step = AgentStep(block, kind, where, self._tools)
        translated = mapping([_name(block), *step.pairs()], node)
        steps = [*self._called_first(block, where), translated]
        steps += [self._each(block, where, step.retry)] if kind == "split" else []
        if where.scope not in self._tools.texts.outline.wrapped:
            return steps
        key = node.key("name")
        return [mapping([_name(block), Pair("steps", key, listing(steps, node))], node)]

    def _kind(self, node: MapNode) -> Kind:
        kinds = [key for key in ("type", "steps", "workflow") if key in node.values]
        kinds = ["steps", "each"] if "steps" in node.values and "each" in node.values else kinds
        if len(kinds) > 1:
            what = f"a step cannot have both '{kinds[0]}' and '{kinds[1]}'"
            self._problems.add(node.key(kinds[1]).position, what, "make two steps of it")
            return "unclear"
        kind = kind_of(node)
        if kind == "unclear":
            self._report_type(node)
        return kind

    def _report_type(self, node: MapNode) -> None:
        written, add = node.values.get("type"), self._problems.add
        known = f"types: {', '.join(TYPES)}"
        if written is None:
            hint = "'with' belongs to a step with 'workflow'" if "with" in node.values else known
            add(node.position, "the step has no 'type'", hint)
        elif isinstance(written, ScalarNode) and written.value in RESERVED_TYPES:
            add(written.position, f"'type: {written.value}' is reserved in Gump 0.0.4, but has no meaning", known)
        elif isinstance(written, ScalarNode) and isinstance(written.value, str):
            near = self._problems.suggest(written.value, TYPES, label="types")
            add(written.position, f"unknown type {quoted(written.value)}", near)
        else:
            add(written.position, f"'type' must be one of {', '.join(TYPES)}, not {describe(written)}")

    def _group(self, block: Block, where: Where) -> MapNode:
        fields = block.step
        if fields.flag("parallel") is not True:
            fields.refuse_key("steps", "a group needs 'parallel: true'", "steps run in order without a group")
        children = self.translate(fields.nodes("steps") or (), where.scope, where.splits)
        parallel = Pair("parallel", fields.node.key("parallel"), fields.values.get("parallel", fields.node))
        steps = Pair("steps", fields.node.key("steps"), listing(children, fields.values["steps"]))
        return mapping([_name(block), parallel, steps], fields.node)

    def _call(self, block: Block, where: Where) -> MapNode:
        fields = block.step
        pairs = [_name(block), Pair("workflow", fields.node.key("workflow"), self._called(fields.values["workflow"]))]
        given = fields.get("with")
        if isinstance(given, MapNode):
            inputs = translate_inputs(given, (), self._tools.texts, where)
            pairs.append(Pair("with", fields.node.key("with"), inputs))
        else:
            fields.mapping("with", ())
        return mapping(pairs, fields.node)

    def _gates(self, block: Block, where: Where) -> MapNode:
        fields = block.step
        gates = translate_gates(fields.values["gate"], self._tools.texts, where)
        hitl = translate_hitl(block, self._problems)
        return mapping([_name(block), Pair("gate", fields.node.key("gate"), gates), *hitl], fields.node)

    def _called_first(self, block: Block, where: Where) -> list[Node]:
        """Return the step that calls the workflow of `get` before this step."""
        get = block.get
        if get is None or "workflow" not in get:
            return []
        written, outline = get.text("workflow"), self._tools.texts.outline
        if written is None or where.scope not in outline.calls:  # the latter is a step with a duplicate name
            return []
        key, node = get.node.key("workflow"), get.values["workflow"]
        name = outline.calls[where.scope].path[-1]
        if outline.is_taken(where.scope):
            what = f"'get' calls {quoted(written)}, but another step here has the name {quoted(name)}"
            self._problems.add(node.position, what, "rename the step")
        pairs = [Pair("name", key, scalar(name, node)), Pair("workflow", key, self._called(node))]
        inputs = translate_inputs(get.node, ("workflow", *GET), self._tools.texts, where)
        if inputs.values:
            pairs.append(Pair("with", key, inputs))
        call = mapping(pairs, get.node)
        self._tools.decisions.comment(call, f"'get: {{workflow: {written}}}' of step {where.scope[-1]}")
        return [call]

    def _called(self, node: Node) -> Node:
        """Return the path of a workflow in a folder below `.gump/workflows`; other names are the same here."""
        file = self._tools.file
        written = node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else ""
        path = file.project / ".gump" / "workflows" / f"{written}.yaml"
        if "/" not in written or file.folder is None or not exists(path):
            return node
        return scalar(f"./{os.path.relpath(path, file.folder)}", node)

    def _each(self, block: Block, where: Where, retry: Retry | None) -> MapNode:
        fields = block.step
        name = fields.values["name"]
        if "each" not in fields:
            fields.refuse("a step with 'type: split' has no 'each'", "write the steps for each task below 'each'")
        nodes = fields.nodes("each")
        if nodes == ():
            fields.refuse_value("each", "'each' is empty", "write the steps for each task below it")
        children = self.translate(nodes or (), where.scope, where.splits + 1)
        group = self._tools.texts.outline.groups.get(where.scope, where.scope[-1])
        pairs = [
            Pair("name", fields.node.key("each"), scalar(group, name)),
            Pair("foreach", fields.node.key("each"), scalar(where.scope[-1], name)),
        ]
        if fields.flag("parallel"):
            pairs.append(Pair("parallel", fields.node.key("parallel"), fields.values["parallel"]))
        pairs.append(Pair("steps", fields.node.key("each"), listing(children, fields.values.get("each", fields.node))))
        if retry is not None:
            attempts = mapping([Pair("retry", retry.at, retry.attempts)], retry.at)
            if retry.last > 1:
                what = f"'retry' of a split also applies to its tasks: all of them run up to {retry.last} times"
                self._problems.note(retry.at.position, what)
                self._tools.decisions.comment(attempts, "In Gump 0.0.4, steps that have passed do not run again.")
            pairs.append(Pair("on_failure", retry.at, attempts))
        return mapping(pairs, fields.node.key("each"))


def _name(block: Block) -> Pair:
    return Pair("name", block.step.node.key("name"), block.step.values["name"])
