"""Translates the keys of an agent step of Gump 0.0.4."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.text import quoted
from pytest_gump.workflow.former.gates import gate_names, translate_gates
from pytest_gump.workflow.former.new_nodes import Pair, listing, mapping, scalar
from pytest_gump.workflow.former.retry import RetryReader, Values
from pytest_gump.workflow.former.strategy import to_failure
from pytest_gump.workflow.former.texts import PLAIN_NAMES
from pytest_gump.workflow.reading.fields import Fields
from pytest_gump.workflow.reading.prompt_text import read_prompt_file
from pytest_gump.workflow.reading.read_step import name_error
from pytest_gump.workflow.reading.yaml_nodes import ListNode, MapNode, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.former.blocks import Block
    from pytest_gump.workflow.former.decisions import Decisions
    from pytest_gump.workflow.former.outline import Kind
    from pytest_gump.workflow.former.retry import Retry
    from pytest_gump.workflow.former.texts import Texts, Where
    from pytest_gump.workflow.problems import Problems
    from pytest_gump.workflow.reading.located import WorkflowFile
    from pytest_gump.workflow.reading.yaml_nodes import Node

OUTPUTS: Final = {"split": "plan", "validate": "review", "artifact": "artifact"}
PASS: Final = "pass"  # noqa: S105 - an agent
_GUARD: Final = ("max_turns", "max_budget", "max_tokens", "max_time", "timeout", "no_write")


class Tools(NamedTuple):
    """What the translation of every step needs."""

    file: WorkflowFile
    texts: Texts
    decisions: Decisions


class AgentStep:
    """One step with a `type`."""

    def __init__(self, block: Block, kind: Kind, where: Where, tools: Tools) -> None:
        self._block, self._kind, self._tools = block, kind, tools
        self._names = gate_names(block.step.get("gate"))
        self._where = where._replace(gates=self._names.here)
        self._problems = tools.file.problems
        self.retry = self._retry()

    def pairs(self) -> list[Pair]:
        """Return the keys of the step in the current form."""
        block = self._block
        if block.text("agent") == PASS:
            return list(self._without_agent())
        return [
            *self._agent(),
            *self._output(),
            *self._prompt(),
            *self._context(),
            *self._session(),
            *self._guard(),
            *self._gate(),
            *translate_hitl(block, self._problems),
            *self._failure(),
        ]

    def _without_agent(self) -> Iterator[Pair]:
        block = self._block
        if self._kind != "code":
            hint = "leave 'agent' out, or write the name of an agent"
            block.of("agent").refuse_value("agent", f"'agent: pass' delivers nothing: no {OUTPUTS[self._kind]}", hint)
        for key in ("prompt", "context", "session", "worktree", "guard"):
            if block.get_node(key) is not None:
                self._problems.note(block.position(key), f"'{key}' has no effect: 'agent: pass' starts no agent")
        if "gate" not in block.step:
            block.step.refuse("the step does nothing: it has 'agent: pass' and no gates", "give it 'gate'")
        yield from (*self._gate(), *translate_hitl(block, self._problems), *self._failure())

    def _agent(self) -> Iterator[Pair]:
        block = self._block
        node = block.get_node("agent")
        if node is None:
            block.step.refuse("the step has no agent", "write 'agent: NAME', or 'agent: pass' for gates only")
        elif isinstance(node, ScalarNode) and isinstance(node.value, str) and "{" in node.value:
            yield Pair("agent", block.key("agent"), self._templated_agent(node))
        else:
            yield Pair("agent", block.key("agent"), node)

    def _templated_agent(self, node: ScalarNode) -> ScalarNode:
        """Translate `{STEP.agent}` and `{INPUT}`. No other template has a value that is known before a run starts."""
        if re.fullmatch(r"\{[^{}]+\.agent\}", node.text):
            return self._tools.texts.text(node, self._where)
        name = node.text.removeprefix("{").removesuffix("}")
        if node.text == f"{{{name}}}" and name not in PLAIN_NAMES and name_error(name) is None:
            self._tools.texts.agents.add(name)
            return self._tools.texts.text(node, self._where)
        what = f"'agent' cannot be {quoted(node.text)}"
        self._problems.add(node.position, what, "write the name of an agent, {STEP.agent} or {INPUT}")
        return node

    def _output(self) -> Iterator[Pair]:
        if self._kind in OUTPUTS:
            step = self._block.step
            key, value = step.node.key("type"), step.values["type"]
            yield Pair("output", key, scalar(OUTPUTS[self._kind], value))
            if self._kind == "split":
                yield Pair("allow_empty", key, scalar(value=True, at=value))

    def _prompt(self) -> Iterator[Pair]:
        fields = self._block.of("prompt")
        if "prompt" in fields and (text := self.prompt_text(fields)) is not None:
            yield Pair("prompt", fields.node.key("prompt"), text)

    def prompt_text(self, fields: Fields) -> ScalarNode | None:
        """Return the text of `prompt`. The text of a prompt file replaces its path, because its names change too."""
        node = fields.get("prompt")
        if not isinstance(node, MapNode):
            has_text = fields.text("prompt") is not None
            return self._tools.texts.text(node, self._where) if has_text and isinstance(node, ScalarNode) else None
        below = fields.mapping("prompt", ("file",))
        path = None if below is None else below.text("file")
        written = None if below is None else below.get("file")
        if below is not None and "file" not in below:
            below.refuse("'prompt' must be text or {file: PATH}")
        if path is None or not isinstance(written, ScalarNode):
            return None
        file = read_prompt_file(path, written.position, self._tools.file)
        if file is None:
            return None
        text = self._tools.texts.text(written, self._where, file)
        self._tools.decisions.comment(text, f"from {path}")
        return text

    def _context(self) -> Iterator[Pair]:
        block = self._block
        node = block.get_node("context")
        if isinstance(node, ListNode):
            yield Pair("context", block.key("context"), listing(map(self._context_entry, node.nodes), node))
        elif node is not None:
            yield Pair("context", block.key("context"), node)

    def _context_entry(self, node: Node) -> Node:
        if not isinstance(node, MapNode):
            return node
        path = Fields(node, ("file", "bash"), self._problems).get("file")
        if not isinstance(path, ScalarNode) or not isinstance(path.value, str):
            return node
        new = {"file": self._tools.texts.text(path, self._where)}
        return mapping((Pair(key, node.key(key), new.get(key, value)) for key, value in node.values.items()), node)

    def _session(self) -> Iterator[Pair]:
        fields = self._block.of("session")
        node = fields.get("session")
        if isinstance(node, MapNode):
            below = fields.mapping("session", ("from",))
            if below is not None and "from" not in below:
                below.refuse("'session' must be 'new' or {from: STEP}")
            elif below is not None and (step := below.text("from")) is not None:
                target = self._reference(step, below)
                if target is not None:
                    value = mapping([Pair("reuse", below.node.key("from"), scalar(target, below.values["from"]))], node)
                    yield Pair("session", fields.node.key("session"), value)
        elif node is not None and isinstance(node, ScalarNode) and node.value != "new":
            hint = "write {from: STEP}" if str(node.value).startswith("from:") else None
            fields.refuse_value("session", f"'session' must be 'new' or {{from: STEP}}, not {node.text!r}", hint)
        elif isinstance(node, ListNode):
            fields.refuse_value("session", "'session' must be 'new' or {from: STEP}, not a list")

    def _reference(self, name: str, fields: Fields) -> str | None:
        """Return the name of a step here, as a reference in this step."""
        outline = self._tools.texts.outline
        found = outline.find(self._where.scope, tuple(name.split("/")))
        if found is None:
            hint = self._problems.suggest(name, [path[-1] for path in outline.steps], label="steps")
            fields.refuse_value("from", f"'session' names {name!r}, which does not exist", hint)
            return None
        if found.path == self._where.scope:
            fields.refuse_value("from", "'session' names the step itself", "a retry continues its conversation anyway")
            return None
        if found.splits > self._where.splits:
            what = f"'session' names {name!r}, which runs once for each task"
            fields.refuse_value("from", what, "name a step outside of 'each', or move this step into it")
            return None
        return ".".join(outline.reference(self._where.scope, found))

    def _guard(self) -> Iterator[Pair]:
        fields = self._block.of("guard")
        pairs: list[Pair] = []
        guard = fields.mapping("guard", _GUARD)
        if guard is not None:
            self._check_guard(guard)
            names = {"timeout": "max_time"}
            pairs = [
                Pair(names.get(key, key), guard.node.key(key), value)
                for key, value in guard.values.items()
                if key in _GUARD
            ]
        if self._is_read_only() and not any(pair.key == "no_write" for pair in pairs):
            node = self._block.of("worktree").values["worktree"]
            pairs.append(Pair("no_write", node, scalar(value=True, at=node)))
        if pairs:
            at = guard.node if guard is not None else pairs[0].at
            yield Pair("guard", fields.node.key("guard") if guard is not None else at, mapping(pairs, at))

    def _check_guard(self, guard: Fields) -> None:
        guard.duration("timeout")
        if "timeout" in guard and "max_time" in guard:
            guard.refuse_key("timeout", "both 'max_time' and 'timeout' are set", "they are the same limit: keep one")
        if self._kind in OUTPUTS and guard.flag("no_write") is False:
            what = f"'no_write: false' is not supported on a step with 'type: {self._kind}'"
            guard.refuse_key("no_write", what, "such a step changes no files here; leave it out")

    def _is_read_only(self) -> bool:
        """True if a step that changes files must not change any."""
        fields = self._block.of("worktree")
        word = fields.choice("worktree", ("read-write", "read-only", "none")) if "worktree" in fields else None
        if word == "none":
            hint = "write 'worktree: read-only'"
            fields.refuse_value("worktree", "'worktree: none' is not supported: every agent works in a worktree", hint)
        elif word == "read-write" and self._kind in OUTPUTS:
            what = f"'worktree: read-write' is not supported on a step with 'type: {self._kind}'"
            fields.refuse_value("worktree", what, "such a step changes no files here; leave it out")
        return word == "read-only" and self._kind == "code"

    def _gate(self) -> Iterator[Pair]:
        step = self._block.step
        node = step.get("gate")
        if "schema" in self._names.plain and self._kind not in ("split", "validate"):
            what = f"gate 'schema' has nothing to check on a step with 'type: {self._kind}'"
            step.refuse_value("gate", what, "write 'type: split' or 'type: validate', or leave it out")
        if node is not None:
            yield Pair("gate", step.node.key("gate"), translate_gates(node, self._tools.texts, self._where))

    def _retry(self) -> Retry | None:
        agent = self._block.text("agent")
        reader = RetryReader(self._problems, self._names, self.prompt_text)
        retry = reader.read(self._block.step) if "retry" in self._block.step else None
        for rule in retry.rules if retry is not None else ():
            if agent == PASS and rule.values != Values():
                self._problems.add(rule.node.position, "this rule has no effect: 'agent: pass' starts no agent")
        return retry

    def _failure(self) -> Iterator[Pair]:
        if self.retry is not None:
            failure = to_failure(self.retry, self._block.text("agent"), self._tools.decisions)
            yield Pair("on_failure", self.retry.at, failure)


def translate_hitl(block: Block, problems: Problems) -> Iterator[Pair]:
    node = block.get_node("hitl")
    if node is None or (isinstance(node, ScalarNode) and node.value is False):
        return
    word = scalar("before_gate", node) if isinstance(node, ScalarNode) and node.value is True else node
    if isinstance(word, ScalarNode) and word.value == "before_gate" and "gate" not in block.step:
        what = "'hitl: before_gate' never stops a step without gates in Gump 0.0.4"
        problems.add(node.position, what, "write 'hitl: after_gate'")
    yield Pair("hitl", block.key("hitl"), word)
