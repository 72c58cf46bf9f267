"""Cursor's CLI, headless: `cursor-agent -p`.

Written from its documentation and from notes of others, as they were on 2026-11-22, and never run here: it is in no
package registry and takes no other model server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import Command
from pytest_gump.agents.clis.command_words import without
from pytest_gump.agents.clis.cursor_stream import CLI, CursorReader
from pytest_gump.agents.program import Login, Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.agents.base import Provenance, StreamReader, Task

PROGRAM: Final = "cursor-agent"

MODELS: Final[Mapping[str, str | None]] = {
    "cursor": None,
    "cursor-sonnet": "claude-4.6-sonnet-medium",
    "cursor-sonnet-thinking": "claude-4.6-sonnet-medium-thinking",
    "cursor-opus": "claude-4.6-opus-high",
    "cursor-opus-thinking": "claude-4.6-opus-high-thinking",
    "cursor-gpt5": "gpt-5.4-medium",
    "cursor-gemini": "gemini-3.1-pro",
}
"""Short names, and what `--model` gets; None leaves it to the CLI's own setting."""

MODEL_NAME: Final = re.compile(r"cursor-(?P<model>[a-z0-9][a-z0-9.\-]*\d[a-z0-9.\-]*)", re.ASCII)

ENVIRONMENT_NAMES: Final = ("CURSOR_API_KEY", "CURSOR_CONFIG_DIR", "XDG_CONFIG_HOME")

GRANTING_OPTIONS: Final = frozenset({"--sandbox"})
GRANTING_FLAGS: Final = frozenset({"--approve-mcps"})

ABOUT: Final = Program(
    PROGRAM,
    "Cursor",
    get="see https://cursor.com/docs/cli",
    tested=None,
    login=Login(keys=("CURSOR_API_KEY",)),
)


@dataclass(frozen=True, slots=True)
class CursorAgent:
    """One name bound to a model.

    What the documentation says of its confinement: without `--force` edits are only proposed, so it is always given;
    `--sandbox enabled` holds commands to the workspace. Its read-only modes cannot write the hand-over, and rules for
    single paths can be given in files only: where the tree must not change, the check of the tree after the attempt
    is what holds. MCP servers of the worktree are not approved; its rules (`.cursor/rules`) are read.
    """

    name: str
    model: str | None = None
    arguments: tuple[str, ...] = ()
    """Further words for the command line: the user's own, wider grant, for steps that change files."""

    @property
    def cli(self) -> str:
        return CLI

    @property
    def cost(self) -> Provenance:
        return "unknown"

    def missing(self) -> str | None:
        return ABOUT.missing()

    def command(self, task: Task) -> Command:
        argv = [PROGRAM, "-p", "--output-format", "stream-json", "--force", "--trust"]
        argv += ["--sandbox", "enabled", f"--workspace={task.worktree}"]
        if self.model is not None:
            argv.append(f"--model={self.model}")
        if task.session is not None:
            argv.append(f"--resume={task.session.id}")
        words = self.arguments
        if task.read_only:
            words = without(words, options=GRANTING_OPTIONS, flags=GRANTING_FLAGS)
        return Command((*argv, *words), stdin=task.prompt.encode("utf-8", "replace"), env_names=ENVIRONMENT_NAMES)

    def reader(self, task: Task) -> StreamReader:
        return CursorReader(task, self.model)
