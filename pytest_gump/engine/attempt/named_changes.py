"""Changes that no gate forbids, but that a person should review before using the result."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.gates.patterns import matches
from pytest_gump.gates.tools.detect import TEST_PATTERNS
from pytest_gump.gates.tools.interpreter import Changes
from pytest_gump.gates.tools.stand_ins import second_copies, stand_ins, standard_stand_ins
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.order import Order
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.system.worktrees.slot import Slot

_NAMED: Final = 5
_SOURCE_BYTES: Final = 1024 * 1024


def named_changes(order: Order, tools: Tools, slot: Slot, changed: Sequence[ChangedFile]) -> list[str]:
    """Return a line for each kind: product code that can reach the test run, and files that replace modules.

    Ignores test code. `changed` are the changes since the step began; the slot holds the result.
    """

    def read(path: str) -> bytes:
        try:
            return slot.read(path, _SOURCE_BYTES) or b""
        except WorktreeError:  # a link, or a file that no person wrote
            return b""

    def read_base(path: str) -> bytes | None:
        return tools.repository.read_file(order.step_base, path)

    written = [file.path for file in changed if file.status != "deleted" and file.path.endswith(".py")]
    tests = {*matches((*TEST_PATTERNS, *tools.settings.test_files), written)} if written else set()
    product = [path for path in written if path not in tests]
    notes = []
    if found := _reaching(product, read, read_base):
        named = [f"{path} ({', '.join(uses[:_NAMED])})" for path, uses in found.items()]
        notes.append(f"changed product code can reach the test run that checks it: {listed(named, _NAMED)}")
    added = [file.path for file in changed if file.status == "added"]
    if shadowing := stand_ins(added, slot.path, read_base):
        notes.append(f"files named like a module that gates import: {listed(shadowing)}")
    if standard := standard_stand_ins(added, slot.path, read_base):
        notes.append(f"files imported in place of a module of the standard library: {listed(standard)}")
    if copies := second_copies(added, slot.path, read_base):
        notes.append(f"files named like a module in another source folder, so only one is imported: {listed(copies)}")
    return notes


def interpreter_changes(tools: Tools) -> tuple[str | None, list[str]]:
    """Return why gates can no longer use this Python, or None, and a note on newly installed packages."""
    changes = Changes(()) if tools.interpreter is None else tools.interpreter.changes()
    named = [f"packages installed since the run began: {listed([*changes.installed])}"] if changes.installed else []
    if not changes.deciding:
        return None, named
    return f"the Python that gates run with has changed since the run began: {listed([*changes.deciding])}", named


def _reaching(
    product: Sequence[str], read: Callable[[str], bytes], read_base: Callable[[str], bytes | None]
) -> dict[str, list[str]]:
    """Return the files whose new code can reach the test run, each with the names that it uses for that."""
    if not product:
        return {}
    from pytest_gump.gates.tools.reach import new_reach  # only for changed Python files

    reach = {path: new_reach(read(path), partial(read_base, path)) for path in product}
    return {path: uses for path, uses in reach.items() if uses}
