"""Load workflows from text, with three agents of two CLIs."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pytest_gump.agents import registry
from pytest_gump.errors import WorkflowError
from pytest_gump.workflow.edit import AgentOverride
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.load import load_workflow

if TYPE_CHECKING:
    from pytest_gump.workflow.loaded import Loaded

AGENTS = ("claude-opus", "claude-haiku", "claude-sonnet", "codex")
NOWHERE = Path("/nowhere/project")
NO_OVERRIDE = AgentOverride()


class Case(NamedTuple):
    title: str
    text: str
    expected: str
    """A message, or a translated file."""

    @property
    def files(self) -> dict[str, str]:
        """The files of the text, by name; `--- NAME` begins each of them, often all but the first."""
        first, *named = re.split(r"^--- ", self.text, flags=re.MULTILINE)
        parts = [("", first)] if first else []
        parts += [(name, text) for name, text in (part.split("\n", 1) for part in named)]
        return {name: f"{text.rstrip()}\n" for name, text in parts}


def read_table(table: Path) -> list[Case]:
    """Read a table of cases: `=== title`, the text, `>>>`, what is expected."""
    _, *cases = re.split(r"^=== ", table.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [_case(case) for case in cases]


def _case(case: str) -> Case:
    title, rest = case.split("\n", 1)
    text, expected = rest.split("\n>>>\n")
    return Case(title, text, expected.strip())


def agent_error(name: str) -> str | None:
    if name in AGENTS:
        return None
    near = get_close_matches(name, AGENTS, n=1)
    return f"unknown agent {name!r}" + (f"\n  hint: did you mean {near[0]!r}?" if near else "")


def same_cli(one: str, other: str) -> bool:
    return one.split("-", maxsplit=1)[0] == other.split("-", maxsplit=1)[0]


def load(
    text: str,
    *,
    project: Path = NOWHERE,
    gates: tuple[str, ...] = (),
    name: str = "flow.yaml",
    override: AgentOverride = NO_OVERRIDE,
) -> Loaded:
    return load_workflow(
        Found(project / name, "file", "flow", text),
        project=project,
        gates=gates,
        agents=agent_error,
        same_cli=same_cli,
        models_of=registry.models_of,
        replaced=override.step,
    )


def refusal(text: str, *, project: Path = NOWHERE, override: AgentOverride = NO_OVERRIDE) -> str:
    with pytest.raises(WorkflowError) as caught:
        load(text, project=project, override=override)
    return str(caught.value)


def one_step(lines: str) -> str:
    """Return a workflow with one step, `work`, that has these keys."""
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"name: flow\nsteps:\n  - name: work\n{body}"
