"""Cursor's CLI, headless: `cursor-agent -p`.

Written from its documentation and from notes of other users, both of 2026-11-22, and never run: the CLI is in no
package registry and accepts no other model server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.program import Login, Program
from pytest_gump.agents.shell.permissions import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Task


class CursorAgent(CliAgent):
    """One name bound to a model.

    Confinement according to the documentation: without `--force`, edits are only proposed, so it is always given.
    `--sandbox enabled` confines commands to the workspace. The read-only modes cannot write `.gump/out`, and rules for
    single paths can only be given in files. So in read-only steps, only the check of the tree after the attempt
    detects changes. MCP servers of the worktree are not approved; its rules (`.cursor/rules`) are read.
    """

    cli: ClassVar = "cursor"
    program: ClassVar = Program(
        "cursor-agent",
        "Cursor",
        get="see https://cursor.com/docs/cli",
        tested=None,
        login=Login(keys=("CURSOR_API_KEY",)),
    )
    shell: ClassVar = Shell(
        sandbox="Every shell command may run, in a sandbox that lets it write only in the current directory.",
        sandbox_read_only="Every shell command may run. It must not write anything outside of `.gump/out`. Run no "
        "tests and no other code of the project: it could change your result there.",
    )
    stream: ClassVar = "pytest_gump.agents.clis.cursor_stream:CursorReader"
    models: ClassVar = {
        "cursor": None,
        "cursor-sonnet": "claude-4.6-sonnet-medium",
        "cursor-sonnet-thinking": "claude-4.6-sonnet-medium-thinking",
        "cursor-opus": "claude-4.6-opus-high",
        "cursor-opus-thinking": "claude-4.6-opus-high-thinking",
        "cursor-gpt5": "gpt-5.4-medium",
        "cursor-gemini": "gemini-3.1-pro",
    }
    model_name: ClassVar = re.compile(r"cursor-(?P<model>[a-z0-9][a-z0-9.\-]*\d[a-z0-9.\-]*)", re.ASCII)
    environment_names: ClassVar = ("CURSOR_API_KEY", "CURSOR_CONFIG_DIR", "XDG_CONFIG_HOME")
    priced_as: ClassVar = None  # Cursor has model names of its own
    why_unpriced: ClassVar = "Cursor bills by its own plan"
    why_unknown: ClassVar = why_unpriced
    forks: ClassVar = "never"
    grants: ClassVar = Grants(options=frozenset({"--sandbox"}), flags=frozenset({"--approve-mcps"}))

    def _argv(self, task: Task) -> Iterable[str]:
        argv = ["-p", "--output-format", "stream-json", "--force", "--trust"]
        argv += ["--sandbox", "enabled", f"--workspace={task.worktree}"]
        if self.model is not None:
            argv.append(f"--model={self.model}")
        if task.session is not None:
            argv.append(f"--resume={task.session.id}")
        return (*argv, *self._granted(task))
