"""A control group (cgroup v2) around everything that one supervisor starts, if the system delegates groups to us.

`cgroup.kill` ends all members at once, however fast they fork and whatever they changed about themselves. It is the
last resort: joining a group lasts at most 20 ms, so the supervisor joins once and no command does.
The rules are those of the kernel's Documentation/admin-guide/cgroup-v2.rst: without write access (no delegation), and
below a threaded group, creating or joining fails. There is no group then.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_gump.system.processes.process_table import HAS_PROC, read_process

_PREFIX: Final = "gump-"
_KILL_S: Final = 5.0


def create_cgroup() -> Path | None:
    """Create an empty group below this process's own group; None if that is not possible.

    Groups that killed sessions left here are ended and removed first.
    """
    parent = _own_cgroup() if HAS_PROC else None
    if parent is None:
        return None
    try:
        _remove_stale(parent)
        group = parent / f"{_PREFIX}{_namespace()}-{_owner(os.getpid())}-{time.monotonic_ns()}"
        group.mkdir()
    except OSError:
        return None
    if (group / "cgroup.kill").exists():  # Linux 5.14
        return group
    remove_cgroup(group)
    return None


def join_cgroup(group: str) -> bool:
    """Move this process into the group; what it starts from now on belongs to it too."""
    try:
        Path(group, "cgroup.procs").write_text("0")
    except OSError:
        return False
    return True


def leave_cgroup(group: str) -> None:
    """Move this process, the last member, to the group above, and remove the group."""
    if join_cgroup(os.path.dirname(group)):  # noqa: PTH120
        remove_cgroup(Path(group))


def kill_cgroup(group: Path) -> bool:
    """End every member; False when some are left after 5 seconds."""
    try:
        (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + _KILL_S
        while "populated 1" in (group / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
    except OSError:
        return not group.exists()
    return True


def remove_cgroup(group: Path) -> None:
    """Remove the group and the groups that members created inside; a group with members stays."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - files of a cgroup go with it


def _own_cgroup() -> Path | None:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except (OSError, ValueError):
        return None
    own = next((line[3:] for line in lines if line.startswith("0::/")), None)
    mounted = (line.split(" ") for line in mounts if " - cgroup2 " in line)
    root, mount = next(((fields[3], fields[4]) for fields in mounted), (None, None))
    if own is None or root is None or mount is None:
        return None
    inside = os.path.relpath(own, root)
    return None if inside.startswith("..") else Path(mount, inside)


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116


def _owner(pid: int) -> str | None:
    process = read_process(pid)
    return None if process is None else f"{pid}-{process.started}"


def _remove_stale(parent: Path) -> None:
    for group in parent.glob(f"{_PREFIX}{_namespace()}-*-*-*"):
        owner = group.name.split("-", 2)[2].rpartition("-")[0]
        pid = owner.partition("-")[0]
        if pid.isdigit() and _owner(int(pid)) != owner:
            kill_cgroup(group)
            remove_cgroup(group)
