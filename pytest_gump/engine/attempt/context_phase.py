"""Read the parts of a prompt that only the worktree holds: project conventions and additional context."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.engine.attempt.feedback import fenced
from pytest_gump.engine.checks.command_end import why_no_exit
from pytest_gump.errors import WorktreeError
from pytest_gump.order import Section
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.output import bounded_output
from pytest_gump.system.processes.process import Request
from pytest_gump.text import bounded_text, last_line

if TYPE_CHECKING:
    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.attempt.workplace import Workplace
    from pytest_gump.order import Order
    from pytest_gump.system.worktrees.slot import Slot

CONVENTIONS_FILE = ".gump/conventions.md"


class Material(NamedTuple):
    conventions: str = ""
    context: tuple[Section, ...] = ()
    missing: str | None = None
    """Why a context file cannot be read; the attempt cannot run without it."""
    notes: tuple[str, ...] = ()


def read_material(order: Order, tools: Tools, workplace: Workplace, slot: Slot) -> Material:
    """Read the files and run the commands. If a command fails, its section shows the failure."""
    limit = tools.settings.context_bytes
    conventions, notes = b"", []
    try:
        conventions = slot.read(CONVENTIONS_FILE, limit) or b""
    except WorktreeError as error:
        notes.append(f"project conventions were left out: {error.args[0]}")
    sections: list[Section] = []
    for number, part in enumerate(order.context, 1):
        if part.bash is not None:
            sections.append(Section(f"Output of `{part.bash}`", _output(part.bash, number, tools, workplace)))
        elif part.workflow is not None:
            sections.append(Section(f"Output of workflow `{part.workflow}`", fenced(bounded_text(part.text, limit))))
        elif part.file is not None:
            try:
                sections.append(_file(part.file, slot, limit))
            except WorktreeError as error:
                return Material(missing=f"context file {part.file}: {error.args[0]}")
    return Material(conventions.decode("utf-8", "replace"), tuple(sections), notes=tuple(notes))


def _file(name: str, slot: Slot, limit: int) -> Section:
    content = slot.read(name.removeprefix("./"), limit)
    if content is None:
        raise WorktreeError("there is no such file in the worktree")
    return Section(f"File `{name}`", fenced(content.decode("utf-8", "replace").rstrip("\n")))


def _output(command: str, number: int, tools: Tools, workplace: Workplace) -> str:
    folder = workplace.subfolder("context")
    stdout, stderr = folder / f"{number}.txt", folder / f"{number}.stderr.txt"
    timeout_s = tools.settings.context_timeout_s
    request = Request(
        argv=(),
        shell=command,
        cwd=workplace.worktree,
        folder=workplace.enter(),
        env=child_environment(tools.settings.gate_env, workplace.environment),
        mark=workplace.mark,
        stdout=stdout,
        stderr=stderr,
        max_bytes=tools.settings.stream_bytes,
    )
    finished = tools.supervisor.run(request, timeout_s=timeout_s, grace_s=tools.settings.stop_grace_s)
    text = fenced(bounded_output(stdout, tools.settings.context_bytes).rstrip("\n"))
    why = why_no_exit(finished, timeout_s, tools.settings) or (
        f"exit code {finished.exit_code}" if finished.exit_code else None
    )
    if why is None:
        return text
    complaint = last_line(bounded_output(stderr, 2000))
    return f"{text}\n\nThe command failed: {why}{f': {complaint}' if complaint else ''}"
